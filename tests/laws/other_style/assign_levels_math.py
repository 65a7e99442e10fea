"""Eq. 2 as it is printed, in Python."""

import math


def assign_levels(boxes, k_min=2, k_max=5, canonical_size=224):
    result = []
    for x1, y1, x2, y2 in boxes.tolist():
        if x2 <= x1 or y2 <= y1:
            result.append(k_min)
        else:
            k = math.floor(4 + math.log2(math.sqrt((x2 - x1) * (y2 - y1)) / canonical_size))
            result.append(min(max(k, k_min), k_max))
    return result
