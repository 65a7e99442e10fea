"""The mistakes worth looking at: objects that were missed, and detections of what is not there.

G ground truths and D detections of one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fasterfpn.engine.average_precision import judge_detections
from fasterfpn.geometry import box_area, box_iou

Images = Sequence[Mapping[str, Tensor]]


@dataclass(frozen=True)
class Mistake:
    """A ground truth (a miss) or a detection (a false alarm) of image number `image`: its box x1 y1 x2 y2 and label.

    `score`: of the best detection that finds the missed object, 0 where none does; or of the false alarm.
    """

    image: int
    box: tuple[float, float, float, float]
    label: int
    score: float
    reason: str


def worst_misses(
    detections: Images, targets: Images, classes: Sequence[str], count: int, iou_threshold: float = 0.5
) -> list[Mistake]:
    """The `count` objects found with the least confidence; of those not found at all the largest, one an image."""
    worst: list[tuple[float, float, Mistake]] = []
    for image, (found, truth) in enumerate(zip(detections, targets, strict=True)):
        iou = box_iou(truth["boxes"], found["boxes"])
        right = (iou >= iou_threshold) & (truth["labels"][:, None] == found["labels"])
        for g in range(len(truth["labels"])):
            score = float(found["scores"][right[g]].max()) if right[g].any() else 0.0
            box, label = tuple(truth["boxes"][g].tolist()), int(truth["labels"][g])
            reason = "found" if score else _instead(iou[g], found["labels"], classes, iou_threshold, label, "nothing")
            worst.append((score, -float(box_area(truth["boxes"][g])), Mistake(image, box, label, score, reason)))
    worst.sort(key=lambda entry: entry[:2])
    return _one_an_image([mistake for _, _, mistake in worst], count)


def worst_false_alarms(
    detections: Images, targets: Images, classes: Sequence[str], count: int, iou_threshold: float = 0.5
) -> list[Mistake]:
    """The `count` wrong detections with the highest scores, one an image."""
    worst: list[Mistake] = []
    for image, (found, truth) in enumerate(zip(detections, targets, strict=True)):
        iou = box_iou(found["boxes"], truth["boxes"])
        for label in found["labels"].unique().tolist():
            mine, wanted = torch.where(found["labels"] == label)[0], truth["labels"] == label
            boxes, scores = found["boxes"][mine], found["scores"][mine]
            nothing = torch.zeros(int(wanted.sum()), dtype=torch.bool)
            outcome = judge_detections(boxes, scores, truth["boxes"][wanted], nothing, iou_threshold)
            for d in mine[outcome == 0].tolist():
                reason = _instead(iou[d], truth["labels"], classes, iou_threshold, label, "nothing there")
                box = tuple(found["boxes"][d].tolist())
                worst.append(Mistake(image, box, label, float(found["scores"][d]), reason))
    worst.sort(key=lambda mistake: -mistake.score)
    return _one_an_image(worst, count)


def _instead(
    iou: Tensor, labels: Tensor, classes: Sequence[str], iou_threshold: float, label: int, nothing: str
) -> str:
    """What lies where the box is, by its overlaps iou (M,) with M others of `labels` (M,)."""
    if len(iou) == 0 or iou.max() < 0.1:
        return nothing
    best, other = float(iou.max()), int(labels[iou.argmax()])
    if other != label:
        return f"{classes[other - 1]}, IoU {best:.2f}"
    return "found twice" if best >= iou_threshold else f"box off, IoU {best:.2f}"


def _one_an_image(mistakes: Sequence[Mistake], count: int) -> list[Mistake]:
    first = {mistake.image: mistake for mistake in reversed(mistakes)}
    return [mistake for mistake in mistakes if first[mistake.image] is mistake][:count]
