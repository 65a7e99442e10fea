"""Which anchors or proposals stand for an object, which for background, and the sample of both that a loss sees.

R candidates (anchors or proposals), M ground-truth boxes of one image; labels (R,) int64 in {-1 ignored, 0 background,
1 object}.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fasterfpn.geometry.boxes import box_iou

IGNORED, BACKGROUND, OBJECT = -1, 0, 1


def match_boxes(
    candidates: Tensor,
    boxes: Tensor,
    low: float,
    high: float,
    *,
    best_for_each: bool = False,
    every_tie: bool = False,
) -> tuple[Tensor, Tensor]:
    """Labels (R,) and matched (R,), both int64, of candidates (R, 4) against ground-truth boxes (M, 4).

    With q the highest IoU of a candidate with any box: 1 (object) where q >= high, 0 (background) where q < low, -1
    (ignored) between. `best_for_each` makes each box's best candidate an object too, whatever its IoU, unless that is 0
    (Ren et al. 2015, 3.1.2 (i)); of equally good ones the first, or all with `every_tie` (as torchvision).
    matched: index of the box with which the candidate has its highest IoU, the lowest on ties; 0 where it meets none.
    A candidate promoted as the best of one box stays matched to its own highest, even if that is another box (as
    torchvision). Without boxes, all labels and matches are 0; empty boxes match nothing. Thresholds are compared in the
    IoU's type.
    Raises ValueError where low > high, and for what `box_iou` refuses.
    """
    if low > high:
        raise ValueError(f"low must not exceed high, got {low} and {high}")
    # (M, R): reducing over the short outer dimension is much faster than over a short inner one.
    iou = box_iou(boxes, candidates)
    if len(boxes) == 0 or len(candidates) == 0:
        nothing = torch.zeros(len(candidates), dtype=torch.int64, device=candidates.device)
        return nothing, nothing.clone()

    quality, matched = iou.max(dim=0)  # the first of equal values, as documented for torch.max
    labels = torch.full_like(matched, IGNORED)
    labels[quality < low] = BACKGROUND
    labels[quality >= high] = OBJECT
    if best_for_each:
        best, first = iou.max(dim=1)  # (M,) each: the best candidate of each box
        if every_tie:
            labels[((iou == best[:, None]) & (best[:, None] > 0)).any(dim=0)] = OBJECT
        else:
            labels[first[best > 0]] = OBJECT
    return labels, matched


def sample_balanced(
    labels: Tensor, count: int, positive_fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw at most `count` candidates: indices of positives (P,) and negatives (Q,), int64, ascending.

    P = min(number labelled 1, floor(count * positive_fraction)), Q = min(number labelled 0, count - P): negatives fill
    the places that positives leave free, never the other way round (Ren et al. 2015, 3.1.3). Every subset of that size
    is as likely as any other. `generator` is a CPU generator, so that every device draws the same;
    indices lie on the labels' device.
    Raises ValueError for a negative count or a fraction outside 0..1.
    """
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    if not 0 <= positive_fraction <= 1:
        raise ValueError(f"positive_fraction must lie in 0..1, got {positive_fraction}")
    positive = _draw(torch.nonzero(labels == OBJECT)[:, 0], int(count * positive_fraction), generator)
    negative = _draw(torch.nonzero(labels == BACKGROUND)[:, 0], count - len(positive), generator)
    return positive, negative


def _draw(candidates: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of the candidates (K,), each at most once, in their order; all of them, without a draw, if K <= count."""
    if len(candidates) <= count:
        return candidates
    chosen = torch.randperm(len(candidates), generator=generator)[:count].sort().values
    return candidates[chosen.to(candidates.device)]
