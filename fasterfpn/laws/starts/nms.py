"""Exercise nms: one box for each object (docs/09_proposals.md)."""

import torch

from fasterfpn.geometry import box_iou  # you may use it


def nms(boxes, scores, iou_threshold):
    """Greedy non-maximum suppression: which boxes remain.

    boxes (N, 4) is a float tensor, a row x1 y1 x2 y2 in pixels; scores (N,). From the best score down, keep each box
    that no box kept before overlaps with an IoU of more than `iou_threshold`. Of equal scores the lower index comes
    first. An empty box (x2 <= x1 or y2 <= y1) has IoU 0 with everything. Returns the indices of the kept boxes,
    integers (K,), by descending score. Leave the arguments as they are.

    Hints: a box that is itself suppressed suppresses nobody. Not every sort keeps the order of equals.
    """
    raise NotImplementedError
