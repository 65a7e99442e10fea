"""Eq. 2 as it is printed, in float32."""

import torch


def assign_levels(boxes, k_min=2, k_max=5, canonical_size=224):
    w, h = (boxes[:, 2] - boxes[:, 0]).clamp(min=0), (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
    k = torch.floor(4 + torch.log2(torch.sqrt(w * h) / canonical_size))
    return k.clamp(k_min, k_max).long()
