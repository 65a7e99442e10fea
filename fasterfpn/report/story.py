"""Writes the report as one page: results, data, training, detections and mistakes, from report.json and the images.

In the report of the paper's experiment, each block has the number of the paper's table or figure that it repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.splits import Splits
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.report import charts, pictures, tables
from fasterfpn.report.curves import loss_figure, validation_figure
from fasterfpn.report.draw import GREEN
from fasterfpn.report.lettering import chart_families
from fasterfpn.report.page import Section, page_html
from fasterfpn.report.tables import Numbers
from fasterfpn.types import Detections

BEYOND = "Beyond the paper"


def report_page(
    content: Numbers,
    splits: Splits,
    detectors: Mapping[str, Detector],
    detections: Mapping[str, Sequence[Detections]],
    numbered: bool,
) -> str:
    """The page as HTML.

    `content` is report.json; `detectors` are the networks of its first seed by name, `detections` theirs on the test
    part. `numbered`: whether blocks have the paper's numbers.
    """
    notes = list(content["notes"])
    seed, first = next(iter(content["seeds"].items()))
    if len(content["seeds"]) > 1:
        notes.append(f"Charts and pictures show seed {seed}, the tables all seeds.")
    config = next(iter(detectors.values())).config
    with rc_context({"font.family": chart_families(splits.train.classes)}):
        sections = [_data(content, splits.train, config), _training(first["networks"])]
        if len(splits.test):
            sections.insert(0, _results(content, first["networks"]))
            sections.append(_detections(content, splits.test, first["networks"], detectors, detections))
            sections.append(_mistakes(splits.test, first["networks"]))
    return page_html(content["title"], notes, sections, numbered)


def _results(content: Numbers, networks: Numbers) -> Section:
    section, paper = Section("Results"), content["paper"]
    images = next(iter(networks.values()))["images"]
    text = f"Mean average precision (mAP) at IoU 0.5 on {images} test images, and the seconds to detect on one image."
    beside = " The paper's results are on its own 300 test images and a Tesla K80." if paper else ""
    section.table(tables.networks(content), "Table 2", text + beside)
    text = (
        "AP minus AP of the single-scale network, with the 95 % interval of the difference: mAP, and by the objects' "
        "shorter side. Both networks are compared on the same draws of test images."
    )
    section.table(tables.gains(content), BEYOND, text)
    text = (
        "Average precision (AP) of each class at IoU 0.5. The thin lines are 95 % intervals: how much AP would vary "
        "with other test images."
    )
    section.chart(charts.ap_by_class(networks, paper.get("AP", {}).get("multiscale", {})), "Figure 11", text)
    empty = " The paper does not print the AP of each class for every network." if paper else ""
    section.table(tables.ap_by_class(content), "Figure 11 in numbers", f"AP of each class.{empty}")
    text = "AP by the shorter side of the objects in pixels of the network's input, the mean over the classes."
    section.chart(charts.ap_by_short_side(networks), BEYOND, text)
    text = (
        "AP (%) by shorter side with its 95 % interval: the mean over the classes that have objects of that size. "
        "Objects of other sizes, and wrong detections of other sizes, are ignored."
    )
    section.table(tables.ap_by_short_side(content), BEYOND, text)
    section.table(tables.objects_by_short_side(networks), BEYOND, "Test objects of each class by shorter side.")
    text = "Precision over recall: at each recall the best precision at this recall or more. The area is the AP."
    section.chart(charts.precision_recall(networks), BEYOND, text)
    return section


def _data(content: Numbers, train: LabelledImages, config: DetectorConfig) -> Section:
    section = Section("Data")
    labels = [train.targets(index)["labels"] for index in range(len(train))]
    section.pictures(pictures.examples(train, labels), "Figure 1", "A training image of each class.")
    section.chart(charts.class_counts(content["data"]), "Figure 2", "How many images of each part show each class.")
    example = max(range(len(labels)), key=lambda index: min(len(labels[index]), 3))
    text = "Augmentation: each time an image is used in training, it appears in one of these four ways."
    section.pictures(pictures.flips(train, example), "Figure 3", text)
    text = "The shapes of the anchors, drawn around the centre of an image; one colour for each area."
    section.pictures(pictures.anchors(train, example, config), "Figure 8", text, cell="26rem")
    for name, anchors in content["anchors"].items():
        same = [other for other, theirs in content["anchors"].items() if theirs == anchors]
        if name == same[0]:  # one chart for all networks with the same anchors
            reach = " and ".join(f"{count} at IoU {limit}" for limit, count in anchors["any"].items())
            text = (
                f"How many of {anchors['objects']} training objects each anchor shape (area, height:width) can match; "
                f"at least one shape matches {reach} ({', '.join(same)})."
            )
            section.chart(charts.anchor_matches(anchors), "Figure 8", text)
    return section


def _training(networks: Numbers) -> Section:
    section = Section("Training")
    losses = {name: {key: np.array(loss) for key, loss in run["losses"].items()} for name, run in networks.items()}
    text = "The total loss and its four parts: as logged (thin), and their running mean (thick)."
    section.chart(loss_figure(losses), "Figure 10", text)
    validation = {name: network["validation"] for name, network in networks.items()}
    if any(mAP is not None for run in validation.values() for _, mAP in run):
        section.chart(validation_figure(validation), BEYOND, "mAP on the validation part during training.")
    return section


def _detections(
    content: Numbers,
    test: LabelledImages,
    networks: Numbers,
    detectors: Mapping[str, Detector],
    detections: Mapping[str, Sequence[Detections]],
) -> Section:
    section, score, images = Section("Detections"), content["shown"]["score"], content["shown"]["images"]
    cell = "18rem" if len(detectors) == 3 else "22rem"  # so that all networks of an image are in one row
    for kind, indices in images.items():
        text = f"Detections with a score of {score} or more on test images with {kind}."
        section.pictures(pictures.drawn_detections(test, indices, detections, score), "Figure 12", text, cell)
    text = (
        "Saliency: the image; how much each pixel changes the network's answer for the class, from little (dark) to "
        "much (bright); and both on top of each other."
    )
    maps = pictures.saliency_maps(test, images["one class"], detectors)
    section.pictures(maps, "Figure 13", text, cell)
    text = (
        "Does a network look at the object? Concentration is the mean of the saliency map around the object (in its "
        "box, doubled in width and height) divided by the mean of the whole map; 1 means no more than elsewhere. The "
        "table gives the median, and the number of images above or below a limit, for the trained network and for one "
        "with random weights. Only test images with a single object that covers less than 3 % of the image are used."
    )
    section.table(tables.saliency(networks, content["saliency_limits"]), BEYOND, text)
    return section


def _mistakes(test: LabelledImages, networks: Numbers) -> Section:
    section = Section("Mistakes")
    for name, network in networks.items():
        text = (
            f"Objects (yellow) that the network misses or finds with the lowest scores ({name}). The number is the "
            "score of the best detection that finds the object, 0.00 for none; then, what the network reports there."
        )
        section.pictures(pictures.mistakes(test, network["misses"], pictures.TRUTH), BEYOND, text, cell="9rem")
        text = f"Wrong detections (green) with the highest scores, and what is annotated there ({name})."
        section.pictures(pictures.mistakes(test, network["false_alarms"], GREEN), BEYOND, text, cell="9rem")
    return section
