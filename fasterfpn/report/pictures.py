"""Makes the pictures of the report: examples, flips, anchors, detections, saliency maps, crops of mistakes.

Images (3, H, W) in 0..1; boxes (N, 4) x1 y1 x2 y2 in pixels. Each function returns pictures with the text under each.
"""

from __future__ import annotations

import math
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
LONG_SIDE = 360  # pixels of a picture in the page
TRUTH = (255, 230, 0)
LEVELS = ("#e41a1c", "#ff9d00", "#f7f700", "#4dd94d", "#38b6ff")
CROP = 48, 3.0  # the side of a crop is at least 48 pixels and 3 times the shorter side of the box


def examples(dataset: LabelledImages, labels: Sequence[Tensor]) -> Captioned:
    """One image of each class with the boxes of that class; if possible, one without other classes."""
    pictures = []
    for label, kind in enumerate(dataset.classes, start=1):
        holding = [index for index, image in enumerate(labels) if bool((image == label).any())]
        if holding:
            index = min(holding, key=lambda index: len(labels[index].unique()))
            image, target = dataset[index]
            picture, boxes = scaled(image, target["boxes"][target["labels"] == label])
            pictures.append((outlined(picture, boxes, TRUTH), kind))
    return pictures


def flips(dataset: LabelledImages, index: int) -> Captioned:
    """An image and its three flips, with their boxes."""
    image, target = dataset[index]
    kinds = {"as it is": (False, False), "horizontal flip": (True, False), "vertical flip": (False, True)}
    kinds["both"] = (True, True)
    flipped = {text: flip(image, target["boxes"], across, down) for text, (across, down) in kinds.items()}
    return [(outlined(*scaled(picture, boxes), TRUTH), text) for text, (picture, boxes) in flipped.items()]


def anchors(dataset: LabelledImages, index: int, model: DetectorConfig) -> Captioned:
    """All anchor shapes around the centre of an image as the network gets it, one colour for each area."""
    image, _ = dataset[index]
    height, width = network_size(image.shape[1:], model.image)
    picture = to_picture(image).resize((width, height))
    for area, colour in zip(model.scale.anchor_areas, LEVELS, strict=True):
        cell = cell_anchors(area, model.scale.anchor_ratios) + torch.tensor([width / 2, height / 2] * 2)
        picture = outlined(picture, cell, colour, line=max(1, height // 250))
    picture.thumbnail((2 * LONG_SIDE, 2 * LONG_SIDE))
    shapes = len(model.scale.anchor_areas) * len(model.scale.anchor_ratios)
    return [(picture, f"{shapes} shapes, input {width}x{height}")]


def chosen(labels: Sequence[Tensor], several: bool, count: int) -> list[int]:
    """The indices of the first `count` images with several classes; or of images with one class each, of as many
    different classes as possible. labels: (G,) of each image."""
    classes = [tuple(image.unique().tolist()) for image in labels]
    fitting = [index for index, shown in enumerate(classes) if (len(shown) > 1 if several else len(shown) == 1)]
    first = {classes[index]: index for index in reversed(fitting)}
    others = [index for index in fitting if index not in first.values()]
    return sorted([*sorted(first.values()), *others][:count])


def drawn_detections(
    dataset: LabelledImages, indices: Sequence[int], by_network: Mapping[str, Sequence[Detections]], score: float
) -> Captioned:
    """For each image, a picture with the detections of each network that have a score of at least `score`."""
    pictures = []
    for index in indices:
        image, _ = dataset[index]
        for name, detections in by_network.items():
            boxes, labels, scores = (detections[index][key] for key in ("boxes", "labels", "scores"))
            keep = scores >= score
            picture, boxes = scaled(image, boxes[keep])
            kinds = [dataset.classes[label - 1] for label in labels[keep].tolist()]
            text = name if len(by_network) > 1 else dataset.image_name(index)
            pictures.append((draw_detections(picture, boxes, kinds, scores[keep]), text))
    return pictures


def saliency_maps(dataset: LabelledImages, indices: Sequence[int], detectors: Mapping[str, Detector]) -> Captioned:
    """For each image and network: image, map and overlay, of the logit of the class with the most objects."""
    pictures = []
    for index in indices:
        image, target = dataset[index]
        label = int(target["labels"].mode().values)
        for name, detector in detectors.items():
            device = next(detector.parameters()).device
            picture = saliency_triptych(image, saliency(detector, image.to(device), label).values)
            picture.thumbnail((2 * LONG_SIDE, LONG_SIDE))
            pictures.append((picture, f"{name}: {dataset.classes[label - 1]}"))
    return pictures


def mistakes(dataset: LabelledImages, entries: Sequence[Mapping[str, Any]], colour: tuple[int, int, int]) -> Captioned:
    """A crop around the box of each mistake, with its class, its score, and what is there instead."""
    pictures = []
    for entry in entries:
        image, _ = dataset[entry["image"]]
        x1, y1, x2, y2 = entry["box"]
        side = max(CROP[0], CROP[1] * min(x2 - x1, y2 - y1))
        left, right = crop_range(x1, x2, side, image.shape[2])
        top, bottom = crop_range(y1, y2, side, image.shape[1])
        box = torch.tensor([[x1 - left, y1 - top, x2 - left, y2 - top]])
        crop = outlined(*scaled(image[:, top:bottom, left:right], box), colour, line=4)
        pictures.append((crop, f"{dataset.classes[entry['label'] - 1]} {entry['score']:.2f}: {entry['reason']}"))
    return pictures


def crop_range(low: float, high: float, side: float, limit: int) -> tuple[int, int]:
    """First and last + 1 pixel of a crop around low..high along one axis: at least `side` and 1.15 times the extent
    long, moved into the image of `limit` pixels, and no longer than the image."""
    length = min(limit, math.ceil(max(side, 1.15 * (high - low))))
    start = min(max(0, int((low + high - length) / 2)), limit - length)
    return start, start + length


def scaled(image: Tensor, boxes: Tensor) -> tuple[Image.Image, Tensor]:
    """The image as a picture whose longer side is LONG_SIDE, and its boxes in pixels of the picture."""
    picture = to_picture(image)
    factor = LONG_SIDE / max(picture.size)
    return picture.resize([max(1, round(side * factor)) for side in picture.size]), boxes * factor


def outlined(picture: Image.Image, boxes: Tensor, colour: object, line: int = 3) -> Image.Image:
    """Draw boxes (N, 4) on the picture, each line just outside its box, and return the picture."""
    canvas = ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        canvas.rectangle((x1 - line, y1 - line, x2 + line - 1, y2 + line - 1), outline=colour, width=line)
    return picture
