"""A suppressed box suppresses others. Breaks only_kept_boxes_suppress."""

import torch

from fasterfpn.geometry import box_iou


def nms(boxes, scores, iou_threshold):
    order = torch.sort(scores, descending=True, stable=True).indices
    iou = box_iou(boxes[order], boxes[order])
    suppressed = (torch.triu(iou, diagonal=1) > iou_threshold).any(dim=0)
    return order[~suppressed]
