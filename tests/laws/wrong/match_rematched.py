"""A promoted candidate is matched to the box that promoted it. Breaks matched_to_the_highest."""

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
        for number, column in enumerate(iou.T):
            if column.max() > 0:
                labels[column.argmax()] = 1
                matched[column.argmax()] = number
    return labels, matched
