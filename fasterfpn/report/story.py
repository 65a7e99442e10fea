"""The report: what a run shows, from the data over the training to the mistakes, on one page.

It is made from report.json and the images. In the report of the paper's experiment, each block bears the number of the
paper's table or figure that it corresponds to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.splits import Splits
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.report import charts, pictures, tables
from fasterfpn.report.curves import loss_figure
from fasterfpn.report.draw import GREEN
from fasterfpn.report.lettering import chart_families
from fasterfpn.report.page import Section, page_html
from fasterfpn.report.tables import Numbers

BEYOND = "Beyond the paper"


@dataclass(frozen=True)
class Shown:
    """A trained network for the pictures: itself, and its detections on the test part."""

    detector: Detector
    detections: Sequence[Mapping[str, Tensor]]


def report_page(
    content: Numbers, splits: Splits, shown: Mapping[str, Shown], labels: Sequence[Tensor], numbered: bool
) -> str:
    """The page as HTML.

    `content` is report.json, `shown` the networks of its first seed by name, `labels` those of the training images;
    `numbered`: whether blocks bear the paper's numbers.
    """
    notes = list(content["notes"])
    seed, first = next(iter(content["seeds"].items()))
    networks = first["networks"]
    if len(content["seeds"]) > 1:
        notes.append(f"Pictures, curves and the charts are those of seed {seed}; the tables hold all seeds.")
    names = "Results", "Data", "Training", "Detections", "Mistakes"
    sections = [Section(name, numbered) for name in names]
    results, data, training, detections, mistakes = sections
    with rc_context({"font.family": chart_families(splits.train.classes)}):
        _data(data, content, splits, labels, next(iter(shown.values())).detector.config)
        _training(training, networks)
        if len(splits.test):
            _results(results, content, networks)
            _detections(detections, content, splits.test, networks, shown)
            _mistakes(mistakes, splits.test, networks)
    return page_html(content["title"], notes, sections)


def _results(section: Section, content: Numbers, networks: Numbers) -> None:
    images = next(iter(networks.values()))["images"]
    paper = content["paper"]
    beside = " The paper's are of its own 300 test images, on a Tesla K80." if paper else ""
    text = f"Mean average precision (mAP) at IoU 0.5 on {images} test images, and speed.{beside}"
    section.table(tables.networks(content), "Table 2", text)
    if next(iter(content["seeds"].values()))["gains"]:
        text = (
            "How much better, in all and by the object's shorter side; both networks on the same draws of test images."
        )
        section.table(tables.gains(content), BEYOND, text)
    text = "Average precision (AP) of each class at IoU 0.5; the lines are 95 % intervals over test images."
    section.chart(charts.ap_by_class(networks, paper.get("AP", {}).get("multiscale", {})), "Figure 11", text)
    empty = " What the paper does not print stays empty." if paper else ""
    section.table(tables.ap_by_class(content), "Figure 11 in numbers", f"Average precision of each class.{empty}")
    text = "AP by the shorter side of the object in pixels of the network's input, mean over the classes."
    section.chart(charts.ap_by_short_side(networks), BEYOND, text)
    text = (
        "AP (%) by shorter side and its 95 % interval, mean over the classes with objects there. Objects and "
        "detections outside a bin do not count in it."
    )
    section.table(tables.ap_by_short_side(content), BEYOND, text)
    section.table(tables.objects_by_short_side(networks), BEYOND, "Test objects of each class by shorter side.")
    text = "Precision over recall of each class, as the envelope whose area is the average precision."
    section.chart(charts.precision_recall(networks), BEYOND, text)


def _data(section: Section, content: Numbers, splits: Splits, labels: Sequence[Tensor], config: DetectorConfig) -> None:
    examples = pictures.examples(splits.train, labels)
    section.photographs(examples, "Figure 1", "One training image of each class.")
    section.chart(charts.class_counts(content["data"]), "Figure 2", "Images that show each class, in the three parts.")
    example = max(range(len(labels)), key=lambda index: min(len(labels[index]), 3))
    text = "Augmentation: every visit of an image draws one of these four."
    section.photographs(pictures.flips(splits.train, example), "Figure 3", text)
    text = "The kinds of anchor, one colour for each area, around the middle of an image."
    section.photographs(pictures.anchors(splits.train, example, config), "Figure 8", text, cell="26rem")
    for name, anchors in content["anchors"].items():
        reach = " and ".join(f"{count} at IoU {limit}" for limit, count in anchors["any"].items())
        section.chart(
            charts.anchor_matches(anchors),
            "Figure 8",
            f"Training objects that each shape of anchor (area, height:width) can match in the {name} network; "
            f"any shape: {reach}, of {anchors['objects']}.",
        )


def _training(section: Section, networks: Numbers) -> None:
    losses = {name: {key: np.array(loss) for key, loss in run["losses"].items()} for name, run in networks.items()}
    section.chart(loss_figure(losses, (10, 4.6)), "Figure 10", "The total loss and its four parts over training.")
    if any(mAP is not None for network in networks.values() for _, mAP in network["validation"]):
        section.chart(charts.validation_curves(networks), BEYOND, "mAP on the validation part over training.")


def _detections(
    section: Section, content: Numbers, test: LabelledImages, networks: Numbers, shown: Mapping[str, Shown]
) -> None:
    detections = {name: network.detections for name, network in shown.items()}
    detectors = {name: network.detector for name, network in shown.items()}
    score, images = content["shown"]["score"], content["shown"]["images"]
    cell = "22rem" if len(shown) == 2 else "15rem"  # so that the networks stand beside each other
    for kind, indices in images.items():
        text = f"Detections with a confidence of {score} or more on test images of {kind}."
        section.photographs(pictures.drawn_detections(test, indices, detections, score), "Figure 12", text, cell)
    maps = pictures.saliency_maps(test, images["one class"], detectors)
    text = "Saliency: image, gradient of the class with respect to the pixels, and both together."
    section.photographs(maps, "Figure 13", text, cell="22rem")
    text = (
        "On test images with one object only, under 3 % of the image: how many times its share of the area the "
        "doubled box holds of the map's mass, the median; and on how many it is that; trained, and untrained."
    )
    section.table(tables.saliency(networks, content["saliency_limits"]), BEYOND, text)


def _mistakes(section: Section, test: LabelledImages, networks: Numbers) -> None:
    misses = "objects found with the least confidence, or not at all (0.00), and what the network reports there instead"
    alarms = "wrong detections with the most confidence, and what is there"
    for name, network in networks.items():
        whose = f"The {name} network's" if len(networks) > 1 else "The"
        for key, colour, text in (("misses", pictures.TRUTH, misses), ("false_alarms", GREEN, alarms)):
            crops = pictures.mistakes(test, network[key], colour)
            section.photographs(crops, BEYOND, f"{whose} {text}.", cell="9rem")
