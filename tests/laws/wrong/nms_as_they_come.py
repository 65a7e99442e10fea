"""The kept boxes in their old order. Breaks by_descending_score."""

import torch

from fasterfpn.geometry import box_iou


def nms(boxes, scores, iou_threshold):
    left, keep = torch.sort(scores, descending=True, stable=True).indices, torch.zeros(len(boxes), dtype=torch.bool)
    while len(left):
        keep[left[0]] = True
        left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] <= iou_threshold]
    return keep.nonzero().flatten()
