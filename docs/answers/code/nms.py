"""Greedy NMS: the best of those that are left, and away with what it overlaps."""

import torch

from fasterfpn.geometry import box_iou


def nms(boxes, scores, iou_threshold):
    left = torch.sort(scores, descending=True, stable=True).indices
    kept = []
    while len(left) > 0:
        best, left = left[0], left[1:]
        kept.append(int(best))
        overlap = box_iou(boxes[best][None], boxes[left])[0]
        left = left[overlap <= iou_threshold]
    return torch.tensor(kept, dtype=torch.int64)
