"""Without a loop, in float64."""

import torch


def encode_boxes(boxes, anchors):
    boxes, anchors = boxes.double(), anchors.double()
    size, anchor_size = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return torch.cat([shift / anchor_size, torch.log(size) - torch.log(anchor_size)], dim=1)
