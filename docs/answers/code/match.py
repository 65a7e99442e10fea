"""Matching, a candidate at a time, then a box at a time."""

import torch

from fasterfpn.geometry import box_iou


def match_boxes(candidates, boxes, low, high, best_for_each=False):
    labels = torch.zeros(len(candidates), dtype=torch.int64)
    matched = torch.zeros(len(candidates), dtype=torch.int64)
    if len(boxes) == 0 or len(candidates) == 0:
        return labels, matched
    overlaps = box_iou(candidates, boxes)
    for i, row in enumerate(overlaps):
        matched[i] = row.argmax()
        quality = row.max()
        labels[i] = 1 if quality >= high else 0 if quality < low else -1
    if best_for_each:
        for column in overlaps.T:
            if column.max() > 0:
                labels[column.argmax()] = 1
    return labels, matched
