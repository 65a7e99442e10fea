"""Eq. 1, a box at a time."""

import math

import torch

MAX_LOG_RATIO = math.log(1000 / 16)


def decode_boxes(deltas, anchors):
    boxes = []
    for (dx, dy, dw, dh), (x1, y1, x2, y2) in zip(deltas.tolist(), anchors.tolist()):
        aw, ah = x2 - x1, y2 - y1
        x, y = (x1 + x2) / 2 + aw * dx, (y1 + y2) / 2 + ah * dy
        w, h = aw * math.exp(min(dw, MAX_LOG_RATIO)), ah * math.exp(min(dh, MAX_LOG_RATIO))
        boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return torch.tensor(boxes).reshape(-1, 4)
