"""Which pyramid level a proposal is pooled from: small ones from fine levels, large ones from coarse ones (eq. 2).

boxes (..., 4) float `x1 y1 x2 y2` in input pixels; k (...) int64, 2 for P2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fasterfpn.geometry.boxes import check_boxes


def assign_levels(boxes: Tensor, k_min: int = 2, k_max: int = 5, canonical_size: float = 224) -> Tensor:
    """k = floor(4 + log2(sqrt(w h) / canonical_size)), clamped to k_min..k_max: int64 (...) (eq. 2).

    boxes (..., 4). No logarithm is taken: k >= j where w h >= (canonical_size * 2^(j - 4))^2, so for 224 the bounds
    are the areas 112^2, 224^2, 448^2. They belong to the upper level, and no epsilon blurs them; w, h and w h are
    computed in float64. Empty boxes and those with a NaN go to k_min. Whoever indexes a list of features subtracts
    k_min.
    Raises ValueError where k_min > k_max, for a canonical_size not above 0, for another shape or an integer type.
    """
    check_boxes(boxes, "boxes")
    if k_min > k_max:
        raise ValueError(f"k_min must not exceed k_max, got {k_min} and {k_max}")
    if not canonical_size > 0:
        raise ValueError(f"canonical_size must be above 0, got {canonical_size}")
    x1, y1, x2, y2 = boxes.double().unbind(-1)
    area = (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
    k = torch.full_like(area, k_min, dtype=torch.int64)
    for j in range(k_min + 1, k_max + 1):
        k += area >= (canonical_size * 2.0 ** (j - 4)) ** 2
    return k
