"""The mistakes worth looking at: objects that were missed, and detections of what is not there.

G ground truths and D detections of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fasterfpn.engine.average_precision import judge_detections
from fasterfpn.geometry import box_area, box_iou
from fasterfpn.types import Detections, Target


@dataclass(frozen=True)
class Mistake:
    """A ground truth (a miss) or a detection (a false alarm) of image number `image`: its box x1 y1 x2 y2 and label.

    `score` is that of the false alarm or, for a miss, of the best detection that finds the object; 0 without one.
    """

    image: int
    box: tuple[float, float, float, float]
    label: int
    score: float
    reason: str


def worst_misses(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    classes: Sequence[str],
    count: int,
    iou_threshold: float = 0.5,
) -> list[Mistake]:
    """The `count` objects that are found with the least confidence, one an image; objects not found at all come first,
    the largest before the smaller."""
    worst: list[tuple[float, float, Mistake]] = []
    for image, (detected, truth) in enumerate(zip(detections, targets, strict=True)):
        iou = box_iou(truth["boxes"], detected["boxes"])
        right = (iou >= iou_threshold) & (truth["labels"][:, None] == detected["labels"])
        for g in range(len(truth["labels"])):
            score = float(detected["scores"][right[g]].max()) if right[g].any() else 0.0
            box, label = tuple(truth["boxes"][g].tolist()), int(truth["labels"][g])
            reason = (
                "found" if score else _instead(iou[g], detected["labels"], classes, iou_threshold, label, "nothing")
            )
            worst.append((score, -float(box_area(truth["boxes"][g])), Mistake(image, box, label, score, reason)))
    worst.sort(key=lambda entry: entry[:2])
    return _one_an_image([mistake for _, _, mistake in worst], count)


def worst_false_alarms(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    classes: Sequence[str],
    count: int,
    iou_threshold: float = 0.5,
) -> list[Mistake]:
    """The `count` wrong detections with the highest scores, one an image."""
    worst: list[Mistake] = []
    for image, (detected, truth) in enumerate(zip(detections, targets, strict=True)):
        iou = box_iou(detected["boxes"], truth["boxes"])
        for label in detected["labels"].unique().tolist():
            of_class, wanted = torch.where(detected["labels"] == label)[0], truth["labels"] == label
            boxes, scores = detected["boxes"][of_class], detected["scores"][of_class]
            nothing = torch.zeros(int(wanted.sum()), dtype=torch.bool)
            outcome = judge_detections(boxes, scores, truth["boxes"][wanted], nothing, iou_threshold)
            for d in of_class[outcome == 0].tolist():
                reason = _instead(iou[d], truth["labels"], classes, iou_threshold, label, "nothing there")
                box = tuple(detected["boxes"][d].tolist())
                worst.append(Mistake(image, box, label, float(detected["scores"][d]), reason))
    worst.sort(key=lambda mistake: -mistake.score)
    return _one_an_image(worst, count)


def _instead(
    iou: Tensor, labels: Tensor, classes: Sequence[str], iou_threshold: float, label: int, nothing: str
) -> str:
    """What lies where the box is, by its overlaps iou (M,) with M boxes of `labels` (M,)."""
    if len(iou) == 0 or iou.max() < 0.1:
        return nothing
    best, label_there = float(iou.max()), int(labels[iou.argmax()])
    if label_there != label:
        return f"{classes[label_there - 1]}, IoU {best:.2f}"
    return "found twice" if best >= iou_threshold else f"box off, IoU {best:.2f}"


def _one_an_image(mistakes: Sequence[Mistake], count: int) -> list[Mistake]:
    first = {mistake.image: mistake for mistake in reversed(mistakes)}
    return [mistake for mistake in mistakes if first[mistake.image] is mistake][:count]
