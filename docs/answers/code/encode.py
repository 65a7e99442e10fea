"""Eq. 4, a box at a time."""

import math

import torch


def encode_boxes(boxes, anchors):
    rows = []
    for box, anchor in zip(boxes.tolist(), anchors.tolist()):
        (x, y, w, h), (ax, ay, aw, ah) = centre_and_size(box), centre_and_size(anchor)
        rows.append([(x - ax) / aw, (y - ay) / ah, math.log(w / aw), math.log(h / ah)])
    return torch.tensor(rows).reshape(-1, 4)


def centre_and_size(box):
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
