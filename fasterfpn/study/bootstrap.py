"""Estimates how much average precision would change with other test images: the bootstrap over images (Efron 1979).

N images; B draws of N images each, with replacement; C classes; K judged detections of a class. counts (1 + B, N) says
how often each image is in each draw. Its first row is all 1: the test part itself. So the first of the 1 + B samples is
the measured AP, and the others show its spread. Two networks are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fasterfpn.engine.average_precision import EVERY_SIDE, Judged, Sides, envelope, judge_class
from fasterfpn.types import Detections, Target

DRAWS, IOU = 1000, 0.5
CHUNK = 50  # draws computed at once, in (CHUNK, K) tensors; this bounds the memory


def image_counts(images: int, draws: int = DRAWS, seed: int = 0) -> Tensor:
    """How often each of N `images` is in each draw: float64 (1 + B, N), the first row all 1."""
    chosen = torch.randint(max(images, 1), (draws, images), generator=torch.Generator().manual_seed(seed))
    counts = torch.zeros(draws, images, dtype=torch.float64)
    counts.scatter_add_(1, chosen, torch.ones_like(counts))
    return torch.cat([torch.ones(1, images, dtype=torch.float64), counts])


def class_samples(judged: Judged, counts: Tensor) -> Tensor:
    """AP (area) of one class in each draw: float64 (1 + B,), NaN for a draw without ground truth.

    An image that is drawn c times has weight c. This equals c copies of it as long as no two images share a score.
    """
    positives = counts @ judged.positives.double()
    if len(judged.true) == 0:
        return 0 / positives
    areas = []
    for draws in counts.split(CHUNK):
        weight = draws[:, judged.image]  # (CHUNK, K)
        hits = weight * judged.true
        precision = hits.cumsum(1) / weight.cumsum(1).clamp(min=1)
        areas.append((hits * envelope(precision)).sum(1))
    return torch.cat(areas) / positives


def ap_samples(
    detections: Sequence[Detections], targets: Sequence[Target], classes: int, counts: Tensor, sides: Sides = EVERY_SIDE
) -> Tensor:
    """AP at IoU 0.5 of labels 1..C in each draw, difficult boxes counted: float64 (1 + B, C). mAP is its `nanmean(1)`.

    Only objects whose shorter side lies in `sides` count, as in `average_precision`.
    """
    samples = []
    for label in range(1, classes + 1):
        judged = judge_class(detections, targets, label, IOU, True, sides)
        samples.append(class_samples(judged, counts))
    return torch.stack(samples, dim=1)


def with_interval(samples: Tensor) -> dict[str, float | None]:
    """{"value", "low", "high"} of samples (1 + B,): the first sample, and the range of the middle 95 % of the others.

    Draws whose sample is NaN are left out. None stands for a number that is not defined.
    """
    value, draws = samples[0], samples[1:][~samples[1:].isnan()]
    if value.isnan() or len(draws) == 0:
        return {"value": None if value.isnan() else float(value), "low": None, "high": None}
    tail = (1 - 0.95) / 2
    low, high = torch.quantile(draws, draws.new_tensor([tail, 1 - tail])).tolist()
    return {"value": float(value), "low": low, "high": high}
