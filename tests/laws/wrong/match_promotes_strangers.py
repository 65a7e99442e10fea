"""The best anchor is an object though it meets nothing. Breaks nothing_met_nothing_matched."""

import torch

from fasterfpn.geometry import box_iou


def match_boxes(candidates, boxes, low, high, best_for_each=False):
    if len(boxes) == 0 or len(candidates) == 0:
        return torch.zeros(len(candidates)).long(), torch.zeros(len(candidates)).long()
    iou = box_iou(candidates, boxes)
    quality, matched = iou.max(dim=1)
    labels = torch.full((len(candidates),), -1)
    labels[quality < low] = 0
    labels[quality >= high] = 1
    if best_for_each:
        labels[iou.argmax(dim=0)] = 1
    return labels, matched
