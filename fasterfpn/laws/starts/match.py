"""Exercise match: which anchors stand for an object (docs/07_assignment.md)."""

import torch

from fasterfpn.geometry import box_iou  # you may use it


def match_boxes(candidates, boxes, low, high, best_for_each=False):
    """Labels and matches of candidates (R, 4) against the ground-truth boxes (M, 4) of one image.

    With q the highest IoU of a candidate with any box, its label is 1 (object) where q >= high, 0 (background) where
    q < low, and -1 (ignored) between. With `best_for_each`, the best candidate of every box is an object too, whatever
    its IoU, the first of equally good ones; but not if that IoU is 0.
    Returns (labels, matched), both (R,) of integers; matched is the index of the box with which the candidate has its
    highest IoU, the first of equals, 0 where it meets none; also for a candidate that is the best of another box.
    Without boxes, all labels and matches are 0. Leave the arguments as they are.

    Hints: begin with the table of all IoUs. Which way along it says what is best for a candidate, which for a box?
    """
    raise NotImplementedError
