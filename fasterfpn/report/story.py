"""The report: every table and figure of the paper that a run can show, on one page, from report.json and the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.splits import Splits
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.report import charts, pictures, tables
from fasterfpn.report.curves import loss_figure
from fasterfpn.report.draw import GREEN
from fasterfpn.report.page import Page
from fasterfpn.report.tables import Numbers


@dataclass(frozen=True)
class Shown:
    """A trained network for the pictures: itself, and its detections on the test part."""

    detector: Detector
    detections: Sequence[Mapping[str, Tensor]]


def report_page(content: Numbers, splits: Splits, shown: Mapping[str, Shown], labels: Sequence[Tensor]) -> str:
    """The page as HTML. `content` is report.json; `shown` the networks of its first seed; `labels` of the
    training images."""
    page = Page(content["title"])
    for line in content["notes"]:
        page.text(line)
    seed, first = next(iter(content["seeds"].items()))
    networks = first["networks"]
    if len(content["seeds"]) > 1:
        page.text(f"Pictures, curves and the charts are those of seed {seed}; the tables hold all seeds.")

    _results(page, content, networks)
    _data(page, content, splits, labels, next(iter(shown.values())).detector.config)
    _training(page, networks)
    _detections(page, content, splits.test, networks, shown)
    _mistakes(page, splits.test, networks)
    return page.html()


def _results(page: Page, content: Numbers, networks: Numbers) -> None:
    page.heading("Results")
    images = next(iter(networks.values()))["images"]
    beside = " The paper's are of its own 300 test images, on a Tesla K80." if content["paper"] else ""
    text = f"Mean average precision at IoU 0.5 on {images} test images, and speed.{beside}"
    page.table(tables.networks(content), "Table 2", text)
    if next(iter(content["seeds"].values()))["gains"]:
        text = (
            "How much better, in all and by the object's shorter side; both networks on the same draws of test images."
        )
        page.table(tables.gains(content), "Beyond the paper", text)
    page.chart(
        charts.ap_by_class(networks, content["paper"].get("AP", {}).get("multiscale", {})),
        "Figure 11",
        "Average precision of each type at IoU 0.5; the lines are 95 % intervals over test images.",
    )
    text = "Average precision by type; what the paper does not print stays empty."
    page.table(tables.ap_by_class(content), "Figure 11 in numbers", text)
    page.chart(
        charts.ap_by_short_side(networks),
        "Beyond the paper",
        "Average precision by the shorter side of the object in pixels of the network's input, mean over the types.",
    )
    text = (
        "AP (%) by shorter side and its 95 % interval, mean over the types with objects there; what lies outside a "
        "bin is left aside."
    )
    page.table(tables.ap_by_short_side(content), "Beyond the paper", text)
    page.table(
        tables.objects_by_short_side(networks), "Beyond the paper", "Of which types the objects of each size are."
    )
    page.chart(
        charts.precision_recall(networks),
        "Beyond the paper",
        "Precision over recall of each type, as the envelope whose area is the average precision.",
    )


def _data(page: Page, content: Numbers, splits: Splits, labels: Sequence[Tensor], config: DetectorConfig) -> None:
    page.heading("Data")
    page.pictures(pictures.examples(splits.train, labels), "Figure 1", "One training image of each type.")
    page.chart(charts.class_counts(content["data"]), "Figure 2", "Images that show each type, in the three parts.")
    example = max(range(len(labels)), key=lambda index: min(len(labels[index]), 3))
    page.pictures(
        pictures.flips(splits.train, example),
        "Figure 3",
        "Augmentation: every visit of an image draws one of these four.",
    )
    page.pictures(
        pictures.anchors(splits.train, example, config),
        "Figure 8",
        "The kinds of anchor, one colour for each area, around the middle of an image.",
        cell="26rem",
    )
    for name, anchors in content["anchors"].items():
        reach = " and ".join(f"{count} at IoU {limit}" for limit, count in anchors["any"].items())
        page.chart(
            charts.anchor_matches(anchors),
            "Figure 8",
            f"Training objects that each shape of anchor (area, height:width) can match in the {name} network; "
            f"any shape: {reach}, of {anchors['objects']}.",
        )


def _training(page: Page, networks: Numbers) -> None:
    page.heading("Training")
    losses = {name: {key: np.array(values) for key, values in one["losses"].items()} for name, one in networks.items()}
    page.chart(loss_figure(losses, (10, 4.6)), "Figure 10", "The total loss and its four parts over training.")
    page.chart(charts.validation_curves(networks), "Beyond the paper", "mAP on the validation part over training.")


def _detections(
    page: Page, content: Numbers, test: LabelledImages, networks: Numbers, shown: Mapping[str, Shown]
) -> None:
    page.heading("Detections")
    found = {name: one.detections for name, one in shown.items()}
    detectors = {name: one.detector for name, one in shown.items()}
    score, images = content["shown"]["score"], content["shown"]["images"]
    cell = "22rem" if len(shown) == 2 else "15rem"  # so that the networks stand beside each other
    for kind, indices in images.items():
        if indices:
            text = f"Detections with a confidence of {score} or more on test images of {kind}."
            page.pictures(pictures.detections(test, indices, found, score), "Figure 12", text, cell)
    page.pictures(
        pictures.saliency_maps(test, images["one type"], detectors),
        "Figure 13",
        "Saliency: image, gradient of the class with respect to the pixels, and both together.",
        cell="22rem",
    )
    rows = tables.saliency(networks, content["saliency_limits"])
    if len(rows) > 1:
        text = (
            "On test images with one object only, under 3 % of the image: how many times its share of the area the "
            "doubled box holds of the map's mass, the median; and on how many it is that; trained, and untrained."
        )
        page.table(rows, "Beyond the paper", text)


def _mistakes(page: Page, test: LabelledImages, networks: Numbers) -> None:
    page.heading("Mistakes")
    kinds = (
        ("misses", pictures.TRUTH, "objects found with the least confidence, or not at all (0.00), and what was said"),
        ("false_alarms", GREEN, "wrong detections with the most confidence, and what is"),
    )
    for name, network in networks.items():
        for key, colour, text in kinds:
            crops = pictures.mistakes(test, network[key], colour)
            page.pictures(crops, "Beyond the paper", f"The {name} network's {text} there.", cell="9rem")
