"""Intersection over union."""

import torch


def box_iou(boxes1, boxes2):
    result = torch.zeros(len(boxes1), len(boxes2))
    for i, (left1, top1, right1, bottom1) in enumerate(boxes1.tolist()):
        for j, (left2, top2, right2, bottom2) in enumerate(boxes2.tolist()):
            width = max(0, min(right1, right2) - max(left1, left2))
            height = max(0, min(bottom1, bottom2) - max(top1, top2))
            shared = width * height
            area1 = max(0, right1 - left1) * max(0, bottom1 - top1)
            area2 = max(0, right2 - left2) * max(0, bottom2 - top2)
            covered = area1 + area2 - shared
            result[i, j] = shared / covered if covered > 0 else 0
    return result
