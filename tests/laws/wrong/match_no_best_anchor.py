"""The rule of the best anchor is missing. Breaks the_best_candidate_is_an_object."""

import torch

from fasterfpn.geometry import box_iou


def match_boxes(candidates, boxes, low, high, best_for_each=False):
    if len(boxes) == 0:
        return torch.zeros(len(candidates)).long(), torch.zeros(len(candidates)).long()
    quality, matched = box_iou(candidates, boxes).max(dim=1)
    labels = torch.full((len(candidates),), -1)
    labels[quality < low] = 0
    labels[quality >= high] = 1
    return labels, matched
