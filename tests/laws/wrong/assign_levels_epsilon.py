"""log2 of a negative area is NaN, and two negative sides have a positive one. Breaks empty_boxes_go_to_the_lowest."""

import torch


def assign_levels(boxes, k_min=2, k_max=5, canonical_size=224):
    size = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    return torch.floor(4 + torch.log2(size / canonical_size)).clamp(k_min, k_max).long()
