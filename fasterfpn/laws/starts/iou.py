"""Exercise iou: how much two boxes overlap (docs/01_two_boxes.md)."""

import torch


def box_iou(boxes1, boxes2):
    """The intersection over union of every pair of boxes.

    boxes1 (N, 4) and boxes2 (M, 4) are float tensors, a row x1 y1 x2 y2 in pixels. Width is x2 - x1.
    Returns a tensor (N, M), in 0..1. A box with x2 <= x1 or y2 <= y1 is empty: its IoU is 0 with everything.
    Leave the arguments as they are.

    Hints: the shared part of two boxes is a box too; what are its corners, and when is it empty? The area that both
    cover is not the sum of their areas. What is 0 / 0?
    """
    raise NotImplementedError
