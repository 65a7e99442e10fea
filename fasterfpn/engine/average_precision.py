"""Average precision at one IoU threshold, after PASCAL VOC (Everingham et al. 2010, sec. 4.2; 2012 development kit).

N images; D detections and G ground-truth boxes of one class in one image. Each detection gets an outcome: 1 true
positive, 0 false positive, -1 ignored. K detections of one class, from all images and by descending score, are judged:
they have outcome 1 or 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fasterfpn.geometry import box_iou

Images = Sequence[Mapping[str, Tensor]]  # the detections or the ground truth of each image
Sides = tuple[float, float]  # a range of shorter sides in pixels: low <= side < high
EVERY_SIDE: Sides = (-math.inf, math.inf)
ELEVEN_POINTS = torch.arange(11, dtype=torch.float64) / 10  # k / 10 rounded once, as recall is: comparing is exact


@dataclass(frozen=True)
class Judged:
    """The K judged detections of one class: whether each is true (K,) bool, and its image (K,) int64.

    positives (N,) int64: how many ground-truth boxes of each image must be found.
    """

    true: Tensor
    image: Tensor
    positives: Tensor


def average_precision(
    detections: Images,
    targets: Images,
    iou_threshold: float = 0.5,
    method: Literal["area", "11-point"] = "area",
    *,
    labels: Iterable[int] | None = None,
    count_difficult: bool = False,
    sides: Sides = EVERY_SIDE,
) -> dict[str, float | dict[int, float]]:
    """Average precision of each class and its mean, `{"mAP": float, "AP": {label: float}}`, all in 0..1.

    One mapping an image, in the same order: detections with `boxes` (D, 4) pixels, `labels` (D,) and `scores` (D,);
    targets with `boxes` (G, 4), `labels` (G,) and perhaps `difficult` (G,) bool. `labels` lists the classes to judge
    (default: those that appear). `method` "area" is the area under the precision envelope (VOC since 2010), "11-point"
    the mean of the envelope at recalls 0, 0.1, .., 1 (VOC 2007). Unless `count_difficult`, a difficult box need not be
    found, and a detection that finds it is ignored. The same holds for a box whose shorter side lies outside `sides`;
    a detection outside `sides` that finds nothing is ignored too (COCO's rule for areas).

    Equal scores keep their order: image by image, then as listed. A class without a box that must be found has AP NaN
    and is left out of the mean; the mean of no classes is NaN.
    Raises ValueError for lists of different lengths, a ground truth that is not finite, an unknown method, or a
    threshold outside (0, 1].
    """
    if len(detections) != len(targets):
        raise ValueError(f"detections and targets differ in length: {len(detections)} and {len(targets)} images")
    if not all(bool(target["boxes"].isfinite().all()) for target in targets):
        raise ValueError("targets: boxes must be finite")
    if method not in ("area", "11-point"):
        raise ValueError(f"method must be 'area' or '11-point', not {method!r}")
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must lie in (0, 1], not {iou_threshold}")
    if labels is None:
        labels = sorted({int(label) for image in (*detections, *targets) for label in image["labels"]})
    ap = {}
    for label in labels:
        precision, recall, positives = precision_recall(
            detections, targets, label, iou_threshold, count_difficult=count_difficult, sides=sides
        )
        if positives == 0:
            ap[label] = math.nan
        elif method == "area":
            ap[label] = area_under_envelope(precision, recall)
        else:
            ap[label] = mean_at_recalls(precision, recall, ELEVEN_POINTS)
    defined = [value for value in ap.values() if not math.isnan(value)]
    return {"mAP": sum(defined) / len(defined) if defined else math.nan, "AP": ap}


def precision_recall(
    detections: Images,
    targets: Images,
    label: int,
    iou_threshold: float = 0.5,
    *,
    count_difficult: bool = False,
    sides: Sides = EVERY_SIDE,
) -> tuple[Tensor, Tensor, int]:
    """Precision and recall, float64 (K,) each, after each judged detection of class `label`; and the number of boxes
    that must be found (recall is 0 without any). For the arguments, see `average_precision`."""
    judged = judge_class(detections, targets, label, iou_threshold, count_difficult, sides)
    true_positives = judged.true.cumsum(0).double()
    precision = true_positives / torch.arange(1, len(judged.true) + 1)
    positives = int(judged.positives.sum())
    return precision, true_positives / max(positives, 1), positives


def judge_class(
    detections: Images, targets: Images, label: int, iou_threshold: float, count_difficult: bool, sides: Sides
) -> Judged:
    """Judge every detection of class `label` in N images. For the arguments, see `average_precision`."""
    scores, outcomes, images = [torch.zeros(0)], [torch.zeros(0, dtype=torch.int64)], []
    positives = torch.zeros(len(targets), dtype=torch.int64)
    for index, (detected, truth) in enumerate(zip(detections, targets, strict=True)):
        detected, truth = ({name: value.cpu() for name, value in image.items()} for image in (detected, truth))
        of_class, wanted = detected["labels"] == label, truth["labels"] == label
        if not of_class.any() and not wanted.any():
            continue
        boxes, wanted_boxes = detected["boxes"][of_class], truth["boxes"][wanted]
        ignored = ~short_side_in(wanted_boxes, sides)
        if "difficult" in truth and not count_difficult:
            ignored |= truth["difficult"][wanted]
        outcome = judge_detections(boxes, detected["scores"][of_class], wanted_boxes, ignored, iou_threshold)
        outcome[(outcome == 0) & ~short_side_in(boxes, sides)] = -1
        scores.append(detected["scores"][of_class])
        outcomes.append(outcome)
        images += [index] * len(outcome)
        positives[index] = (~ignored).sum()
    order = torch.cat(scores).argsort(descending=True, stable=True)
    outcome = torch.cat(outcomes)[order]
    kept = outcome >= 0
    return Judged(outcome[kept] == 1, torch.tensor(images, dtype=torch.int64)[order][kept], positives)


def short_side_in(boxes: Tensor, sides: Sides) -> Tensor:
    """Which of M boxes (M, 4) have low <= shorter side < high: (M,) bool."""
    side = short_side(boxes)
    return (side >= sides[0]) & (side < sides[1])


def short_side(boxes: Tensor) -> Tensor:
    """The smaller of width and height of M boxes (M, 4), also M = 0: (M,)."""
    return (boxes[:, 2:] - boxes[:, :2]).amin(dim=1) if len(boxes) else boxes.new_zeros(0)


def judge_detections(
    boxes: Tensor, scores: Tensor, truth: Tensor, difficult: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """The outcome of each detection of one class in one image: (D,) int64, 1 true, 0 false, -1 ignored.

    boxes (D, 4), scores (D,), truth (G, 4), difficult (G,) bool. By descending score (ties: the lower index first) each
    detection claims the ground-truth box with which it has the highest IoU (ties: the lower index), if that IoU is at
    least `iou_threshold`. The first claim of a box is true, later ones are false, even if a second-best box is still
    free (the development kit's rule; COCO's differs). Every claim of a difficult box is ignored. IoU is in float64.
    """
    outcomes = torch.zeros(len(boxes), dtype=torch.int64)
    if len(boxes) == 0 or len(truth) == 0:
        return outcomes
    iou, claim = box_iou(boxes.double(), truth.double()).max(dim=1)
    claimed = set()
    for d in scores.argsort(descending=True, stable=True).tolist():
        if iou[d] < iou_threshold:
            continue
        g = int(claim[d])
        if difficult[g]:
            outcomes[d] = -1
        elif g not in claimed:
            outcomes[d] = 1
            claimed.add(g)
    return outcomes


def envelope(precision: Tensor) -> Tensor:
    """The precision envelope of precision (..., K): at each point the highest precision at this or any later point."""
    return precision.flip(-1).cummax(-1).values.flip(-1)


def area_under_envelope(precision: Tensor, recall: Tensor) -> float:
    """Sum over the points of (rise of recall) x (envelope), rounded once, so that a perfect detector has exactly 1."""
    rise = recall.diff(prepend=recall.new_zeros(1))
    return math.fsum((rise * envelope(precision)).tolist())


def mean_at_recalls(precision: Tensor, recall: Tensor, points: Tensor) -> float:
    """Mean over `points` (float64 recalls) of the envelope at the first recall >= point; 0 if no recall is so high."""
    first = torch.searchsorted(recall, points)  # recall never falls
    height = torch.cat([envelope(precision), precision.new_zeros(1)])
    return float(height[first].mean())
