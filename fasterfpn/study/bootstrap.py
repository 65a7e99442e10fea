"""How far average precision would move with other test images: the bootstrap over images (Efron 1979).

N images, B draws of N images with replacement, C classes, K judged detections of a class. counts (1 + B, N) says how
often each image is in each draw; its first row is the test part as it is, so that the first of all samples is the
figure itself. Two networks are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fasterfpn.engine.average_precision import EVERY_SIDE, Judged, Sides, envelope, judge_class
from fasterfpn.types import Detections, Target

DRAWS = 1000
CHUNK = 50  # draws at a time: (CHUNK, K) tensors


def image_counts(images: int, draws: int = DRAWS, seed: int = 0) -> Tensor:
    """How often each of N `images` comes up in each draw: float64 (1 + B, N), the first row all 1."""
    chosen = torch.randint(max(images, 1), (draws, images), generator=torch.Generator().manual_seed(seed))
    counts = torch.zeros(draws, images, dtype=torch.float64)
    counts.scatter_add_(1, chosen, torch.ones_like(counts))
    return torch.cat([torch.ones(1, images, dtype=torch.float64), counts])


def class_samples(judged: Judged, counts: Tensor) -> Tensor:
    """AP (area) of one class in each draw: float64 (1 + B,), NaN where the draw holds no ground truth.

    An image drawn c times weighs c: the same as c copies of it in a row, as long as no two images share a score.
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
    detections: Sequence[Detections],
    targets: Sequence[Target],
    classes: int,
    counts: Tensor,
    sides: Sides = EVERY_SIDE,
) -> Tensor:
    """AP at IoU 0.5 of labels 1..C in each draw, difficult boxes counted: float64 (1 + B, C). mAP is its `nanmean(1)`.

    Only objects whose shorter side lies in `sides` count, as in `average_precision`.
    """
    labels = range(1, classes + 1)
    judged = [judge_class(detections, targets, label, count_difficult=True, sides=sides) for label in labels]
    return torch.stack([class_samples(of_class, counts) for of_class in judged], dim=1)


def with_interval(samples: Tensor, confidence: float = 0.95) -> dict[str, float | None]:
    """{"value", "low", "high"} of samples (1 + B,): the figure and the middle 95 % of the draws; None where NaN.

    Draws in which the figure is not defined are left out.
    """
    value, draws = samples[0], samples[1:][~samples[1:].isnan()]
    if value.isnan() or len(draws) == 0:
        return {"value": None if value.isnan() else float(value), "low": None, "high": None}
    tail = (1 - confidence) / 2
    low, high = torch.quantile(draws, draws.new_tensor([tail, 1 - tail])).tolist()
    return {"value": float(value), "low": low, "high": high}
