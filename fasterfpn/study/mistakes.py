"""Picks the mistakes worth looking at: objects that a network missed, and detections where there is no such object.

G ground truths and D detections of one image. A detection finds an object of its class from an IoU of 0.5 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fasterfpn.engine.average_precision import judge_detections
from fasterfpn.geometry import box_area, box_iou
from fasterfpn.types import Detections, Target

FOUND, OVERLAPS = 0.5, 0.1
"""The IoU from which a detection finds an object, and from which it overlaps one at all."""


@dataclass(frozen=True)
class Mistake:
    """A missed object or a false alarm in image number `image`: its box x1 y1 x2 y2 in pixels, and its label.

    `score` is the false alarm's own; for a missed object, that of the best detection that finds it, 0 without one.
    """

    image: int
    box: tuple[float, float, float, float]
    label: int
    score: float
    reason: str


def worst_misses(
    detections: Sequence[Detections], targets: Sequence[Target], classes: Sequence[str], count: int
) -> list[Mistake]:
    """The `count` objects that are found with the lowest score, one an image. Objects that are not found come first,
    large ones before small ones."""
    ranked: list[tuple[float, float, Mistake]] = []
    for image, (detected, truth) in enumerate(zip(detections, targets, strict=True)):
        iou = box_iou(truth["boxes"], detected["boxes"])  # (G, D)
        right = (iou >= FOUND) & (truth["labels"][:, None] == detected["labels"])
        for g, label in enumerate(truth["labels"].tolist()):
            score = float(detected["scores"][right[g]].max()) if right[g].any() else 0.0
            reason = "found" if score else _instead(iou[g], detected["labels"], classes, label, "nothing")
            mistake = Mistake(image, tuple(truth["boxes"][g].tolist()), label, score, reason)
            ranked.append((score, -float(box_area(truth["boxes"][g])), mistake))
    ranked.sort(key=lambda entry: entry[:2])
    return _one_an_image([mistake for _, _, mistake in ranked], count)


def worst_false_alarms(
    detections: Sequence[Detections], targets: Sequence[Target], classes: Sequence[str], count: int
) -> list[Mistake]:
    """The `count` wrong detections with the highest scores, one an image."""
    alarms: list[Mistake] = []
    for image, (detected, truth) in enumerate(zip(detections, targets, strict=True)):
        iou = box_iou(detected["boxes"], truth["boxes"])  # (D, G)
        for label in detected["labels"].unique().tolist():
            of_class, wanted = torch.where(detected["labels"] == label)[0], truth["boxes"][truth["labels"] == label]
            none_difficult = torch.zeros(len(wanted), dtype=torch.bool)
            outcome = judge_detections(
                detected["boxes"][of_class], detected["scores"][of_class], wanted, none_difficult, FOUND
            )
            for d in of_class[outcome == 0].tolist():
                reason = _instead(iou[d], truth["labels"], classes, label, "nothing there")
                box, score = tuple(detected["boxes"][d].tolist()), float(detected["scores"][d])
                alarms.append(Mistake(image, box, label, score, reason))
    alarms.sort(key=lambda mistake: -mistake.score)
    return _one_an_image(alarms, count)


def _instead(iou: Tensor, labels: Tensor, classes: Sequence[str], label: int, nothing: str) -> str:
    """What overlaps the box of class `label` most, by its iou (M,) with M boxes of labels (M,)."""
    if len(iou) == 0 or iou.max() < OVERLAPS:
        return nothing
    best, label_there = float(iou.max()), int(labels[iou.argmax()])
    if label_there != label:
        return f"{classes[label_there - 1]}, IoU {best:.2f}"
    return "found twice" if best >= FOUND else f"box off, IoU {best:.2f}"


def _one_an_image(mistakes: Sequence[Mistake], count: int) -> list[Mistake]:
    """The first `count` mistakes, of each image only the first."""
    first: dict[int, Mistake] = {}
    for mistake in mistakes:
        first.setdefault(mistake.image, mistake)
    return list(first.values())[:count]
