"""Base 2 for the natural logarithm. Breaks logarithm_of_the_ratio."""

import torch


def encode_boxes(boxes, anchors):
    size, anchor_size = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return torch.cat([shift / anchor_size, torch.log2(size / anchor_size)], dim=1)
