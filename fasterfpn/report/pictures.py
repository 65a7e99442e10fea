"""The photographs of the report: examples, flips, anchors, detections, saliency maps, crops of mistakes.

Images (3, H, W) in 0..1; each function gives pictures with the line of text under each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.transforms import flip
from fasterfpn.geometry import cell_anchors
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.models.images import network_size
from fasterfpn.models.saliency import saliency
from fasterfpn.report.draw import draw_detections, to_picture
from fasterfpn.report.heat import saliency_triptych
from fasterfpn.types import Detections

Captioned = list[tuple[Image.Image, str]]
LONG_SIDE = 480  # pixels of a picture in the page
TRUTH = (255, 230, 0)
LEVELS = ("#e41a1c", "#ff9d00", "#f7f700", "#4dd94d", "#38b6ff")
CROP = 48, 3.0  # a crop's shorter side is at least so many pixels, and so many times the box


def examples(dataset: LabelledImages, labels: Sequence[Tensor]) -> Captioned:
    """One image of each class with its boxes, if possible one that shows no other class."""
    pictures = []
    for label, kind in enumerate(dataset.classes, start=1):
        holding = [index for index, image in enumerate(labels) if bool((image == label).any())]
        if holding:
            index = min(holding, key=lambda index: len(labels[index].unique()))
            image, target = dataset[index]
            picture, boxes = shrunk(image, target["boxes"][target["labels"] == label])
            pictures.append((outlined(picture, boxes, TRUTH), kind))
    return pictures


def flips(dataset: LabelledImages, index: int) -> Captioned:
    """An image and its three flips, with the boxes that go with them."""
    image, target = dataset[index]
    pictures = []
    for text, across, down in (
        ("as it is", False, False),
        ("horizontal flip", True, False),
        ("vertical flip", False, True),
        ("both", True, True),
    ):
        flipped, boxes = flip(image, target["boxes"], across, down)
        pictures.append((outlined(*shrunk(flipped, boxes), TRUTH), text))
    return pictures


def anchors(dataset: LabelledImages, index: int, model: DetectorConfig) -> Captioned:
    """All kinds of anchor around the middle of an image, a colour a level, on the image as the network gets it."""
    image, _ = dataset[index]
    height, width = network_size(image.shape[1:], model.image)
    picture = to_picture(image).resize((width, height))
    for area, colour in zip(model.scale.anchor_areas, LEVELS, strict=True):
        cell = cell_anchors(area, model.scale.anchor_ratios) + torch.tensor([width / 2, height / 2] * 2)
        picture = outlined(picture, cell, colour, line=max(1, height // 250))
    picture.thumbnail((2 * LONG_SIDE, 2 * LONG_SIDE))
    return [
        (picture, f"{len(model.scale.anchor_areas) * len(model.scale.anchor_ratios)} kinds, input {width}x{height}")
    ]


def chosen(labels: Sequence[Tensor], several: bool, count: int) -> list[int]:
    """The first images with one class each (of different classes, where there are as many), or with several."""
    classes = [tuple(image.unique().tolist()) for image in labels]
    fitting = [index for index, shown in enumerate(classes) if (len(shown) > 1 if several else len(shown) == 1)]
    first = {classes[index]: index for index in reversed(fitting)}
    others = [index for index in fitting if index not in first.values()]
    return sorted([*sorted(first.values()), *others][:count])


def drawn_detections(
    dataset: LabelledImages, indices: Sequence[int], by_network: Mapping[str, Sequence[Detections]], score: float
) -> Captioned:
    """For each image a picture of each network's detections from `score` on."""
    pictures = []
    for index in indices:
        image, _ = dataset[index]
        for name, detections in by_network.items():
            boxes, labels, scores = (detections[index][key] for key in ("boxes", "labels", "scores"))
            keep = scores >= score
            picture, boxes = shrunk(image, boxes[keep])
            kinds = [dataset.classes[label - 1] for label in labels[keep].tolist()]
            pictures.append((draw_detections(picture, boxes, kinds, scores[keep]), name))
    return pictures


def saliency_maps(dataset: LabelledImages, indices: Sequence[int], detectors: Mapping[str, Detector]) -> Captioned:
    """Image, map and overlay of each network, of the logit of the class that the image shows most."""
    pictures = []
    for index in indices:
        image, target = dataset[index]
        label = int(target["labels"].mode().values)
        for name, detector in detectors.items():
            device = next(detector.parameters()).device
            picture = saliency_triptych(image, saliency(detector, image.to(device), label).values)
            picture.thumbnail((3 * LONG_SIDE // 2, LONG_SIDE))
            pictures.append((picture, f"{name}: {dataset.classes[label - 1]}"))
    return pictures


def mistakes(dataset: LabelledImages, entries: Sequence[Mapping[str, Any]], colour: tuple[int, int, int]) -> Captioned:
    """A crop around each mistake's box, with what it is and what is there instead."""
    pictures = []
    for entry in entries:
        image, _ = dataset[entry["image"]]
        x1, y1, x2, y2 = entry["box"]
        side = max(CROP[0], CROP[1] * min(x2 - x1, y2 - y1))
        half = max(side, 1.15 * (x2 - x1)) / 2, max(side, 1.15 * (y2 - y1)) / 2
        centre = (x1 + x2) / 2, (y1 + y2) / 2
        frame = [max(0, int(centre[axis] - half[axis])) for axis in (0, 1)]
        frame += [min(image.shape[2 - axis], int(centre[axis] + half[axis]) + 1) for axis in (0, 1)]
        crop = to_picture(image[:, frame[1] : frame[3], frame[0] : frame[2]])
        factor = min(LONG_SIDE / max(crop.size), 6.0)
        crop = crop.resize((max(1, round(crop.width * factor)), max(1, round(crop.height * factor))))
        box = (torch.tensor([[x1, y1, x2, y2]]) - torch.tensor(frame[:2] * 2)) * factor
        text = f"{dataset.classes[entry['label'] - 1]} {entry['score']:.2f}: {entry['reason']}"
        pictures.append((outlined(crop, box, colour), text))
    return pictures


def shrunk(image: Tensor, boxes: Tensor) -> tuple[Image.Image, Tensor]:
    """The image as a picture no longer than LONG_SIDE, and its boxes in pixels of the picture."""
    picture = to_picture(image)
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    return picture, boxes * (picture.width / image.shape[2])


def outlined(picture: Image.Image, boxes: Tensor, colour: object, line: int = 2) -> Image.Image:
    """Draw boxes (N, 4) on the picture, around what they hold, and return it."""
    canvas = ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        canvas.rectangle((x1 - line, y1 - line, x2 + line - 1, y2 + line - 1), outline=colour, width=line)
    return picture
