"""An IoU that equals the threshold suppresses. Breaks strictly_more_than_the_threshold."""

import torch

from fasterfpn.geometry import box_iou


def nms(boxes, scores, iou_threshold):
    left, kept = torch.sort(scores, descending=True, stable=True).indices, []
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] < iou_threshold]
    return torch.tensor(kept, dtype=torch.int64)
