"""Exercise assign_levels: which level of the pyramid pools a proposal (docs/10_roi_pooling.md)."""

import torch


def assign_levels(boxes, k_min=2, k_max=5, canonical_size=224):
    """k = floor(4 + log2(sqrt(w h) / canonical_size)) of each box, clamped to k_min..k_max (eq. 2).

    boxes (N, 4) is a float tensor, a row x1 y1 x2 y2 in pixels. Returns integers (N,): 2 means P2. An area that
    equals a bound belongs to the upper level. Empty boxes (x2 <= x1 or y2 <= y1) go to k_min. Leave the argument as
    it is.

    Hints: log2(0) is minus infinity, and what is an integer of that? You can do without any logarithm.
    """
    raise NotImplementedError
