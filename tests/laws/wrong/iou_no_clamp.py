"""Two negative sides make a positive area. Breaks zero_apart."""

import torch


def box_iou(boxes1, boxes2):
    a, b = boxes1[:, None], boxes2[None]
    width = torch.min(a[..., 2], b[..., 2]) - torch.max(a[..., 0], b[..., 0])
    height = torch.min(a[..., 3], b[..., 3]) - torch.max(a[..., 1], b[..., 1])
    inter = width * height
    area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    union = area_a + area_b - inter
    return torch.where(union > 0, inter / union, torch.zeros_like(inter))
