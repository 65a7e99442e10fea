"""The photographs of the report: examples, flips, anchors, detections, saliency maps, crops of mistakes.

Images are (3, H, W) in 0..1. Each function returns pictures with their captions.
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
LONG_SIDE = 480  # of a picture on the page, in pixels
TRUTH_COLOUR = (255, 230, 0)
LEVEL_COLOURS = ("#e41a1c", "#ff9d00", "#f7f700", "#4dd94d", "#38b6ff")  # of the anchors on P2 to P6
CROP_SIDE, CROP_PER_BOX = 48, 3.0  # a crop's least side: in pixels, and as a multiple of the box's shorter side


def examples(dataset: LabelledImages, labels: Sequence[Tensor]) -> Captioned:
    """Show one image of each class with the boxes of that class, if possible an image without other classes."""
    pictures = []
    for label, class_name in enumerate(dataset.classes, start=1):
        candidates = [index for index, image_labels in enumerate(labels) if bool((image_labels == label).any())]
        if candidates:
            index = min(candidates, key=lambda index: len(labels[index].unique()))
            image, target = dataset[index]
            picture, boxes = thumbnail(image, target["boxes"][target["labels"] == label])
            pictures.append((outline(picture, boxes, TRUTH_COLOUR), class_name))
    return pictures


def flips(dataset: LabelledImages, index: int) -> Captioned:
    """Show an image and its three flips, each with its boxes."""
    image, target = dataset[index]
    pictures = []
    for caption, horizontal, vertical in (
        ("original", False, False),
        ("horizontal flip", True, False),
        ("vertical flip", False, True),
        ("both", True, True),
    ):
        flipped, boxes = flip(image, target["boxes"], horizontal, vertical)
        pictures.append((outline(*thumbnail(flipped, boxes), TRUTH_COLOUR), caption))
    return pictures


def anchors(dataset: LabelledImages, index: int, model: DetectorConfig) -> Captioned:
    """Show all anchor shapes at the centre of an image resized to the network's input, one colour per level."""
    image, _ = dataset[index]
    height, width = network_size(image.shape[1:], model.image)
    picture = to_picture(image).resize((width, height))
    for area, colour in zip(model.scale.anchor_areas, LEVEL_COLOURS, strict=True):
        cell = cell_anchors(area, model.scale.anchor_ratios) + torch.tensor([width / 2, height / 2] * 2)
        picture = outline(picture, cell, colour, line=max(1, height // 250))
    picture.thumbnail((2 * LONG_SIDE, 2 * LONG_SIDE))
    shapes = len(model.scale.anchor_areas) * len(model.scale.anchor_ratios)
    return [(picture, f"{shapes} shapes, input {width}x{height}")]


def choose_images(labels: Sequence[Tensor], several: bool, count: int) -> list[int]:
    """Return up to `count` images that show `several` classes, or exactly one.

    Images with a set of classes not seen before come first; the result is in the order of the dataset.
    """
    class_sets = [tuple(image_labels.unique().tolist()) for image_labels in labels]
    candidates = [index for index, shown in enumerate(class_sets) if (len(shown) > 1 if several else len(shown) == 1)]
    first = {class_sets[index]: index for index in reversed(candidates)}
    repeated = [index for index in candidates if index not in first.values()]
    return sorted([*sorted(first.values()), *repeated][:count])


def detections(
    dataset: LabelledImages, indices: Sequence[int], by_network: Mapping[str, Sequence[Detections]], score: float
) -> Captioned:
    """Show, for each image, each network's detections with a score of at least `score`."""
    pictures = []
    for index in indices:
        image, _ = dataset[index]
        for network, results in by_network.items():
            result = results[index]
            keep = result["scores"] >= score
            picture, boxes = thumbnail(image, result["boxes"][keep])
            names = [dataset.classes[label - 1] for label in result["labels"][keep].tolist()]
            pictures.append((draw_detections(picture, boxes, names, result["scores"][keep]), network))
    return pictures


def saliency_maps(dataset: LabelledImages, indices: Sequence[int], detectors: Mapping[str, Detector]) -> Captioned:
    """Show image, map and overlay for each network. The map is of the logit of the image's most frequent class."""
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
    """Show a crop around the box of each mistake in report.json, captioned with its class, score and reason."""
    pictures = []
    for entry in entries:
        image, _ = dataset[entry["image"]]
        x1, y1, x2, y2 = entry["box"]
        side = max(CROP_SIDE, CROP_PER_BOX * min(x2 - x1, y2 - y1))
        half = max(side, 1.15 * (x2 - x1)) / 2, max(side, 1.15 * (y2 - y1)) / 2
        centre = (x1 + x2) / 2, (y1 + y2) / 2
        frame = [max(0, int(centre[axis] - half[axis])) for axis in (0, 1)]
        frame += [min(image.shape[2 - axis], int(centre[axis] + half[axis]) + 1) for axis in (0, 1)]
        crop = to_picture(image[:, frame[1] : frame[3], frame[0] : frame[2]])
        factor = min(LONG_SIDE / max(crop.size), 6.0)
        crop = crop.resize((max(1, round(crop.width * factor)), max(1, round(crop.height * factor))))
        box = (torch.tensor([[x1, y1, x2, y2]]) - torch.tensor(frame[:2] * 2)) * factor
        text = f"{dataset.classes[entry['label'] - 1]} {entry['score']:.2f}: {entry['reason']}"
        pictures.append((outline(crop, box, colour), text))
    return pictures


def thumbnail(image: Tensor, boxes: Tensor) -> tuple[Image.Image, Tensor]:
    """Shrink an image to at most LONG_SIDE pixels, and scale its boxes with it."""
    picture = to_picture(image)
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    return picture, boxes * (picture.width / image.shape[2])


def outline(picture: Image.Image, boxes: Tensor, colour: object, line: int = 2) -> Image.Image:
    """Draw boxes (N, 4) on `picture`, the lines outside the boxes, and return it."""
    canvas = ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        canvas.rectangle((x1 - line, y1 - line, x2 + line - 1, y2 + line - 1), outline=colour, width=line)
    return picture
