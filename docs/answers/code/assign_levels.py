"""Eq. 2 without a logarithm: a level more for every bound that the area reaches."""

import torch


def assign_levels(boxes, k_min=2, k_max=5, canonical_size=224):
    levels = []
    for x1, y1, x2, y2 in boxes.tolist():
        area, level = max(x2 - x1, 0) * max(y2 - y1, 0), k_min
        while level < k_max and area >= (canonical_size * 2.0 ** (level + 1 - 4)) ** 2:
            level += 1
        levels.append(level)
    return torch.tensor(levels, dtype=torch.int64)
