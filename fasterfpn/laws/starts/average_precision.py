"""Exercise average_precision: how good a detector is (docs/02_average_precision.md)."""

import math

import torch

from fasterfpn.geometry import box_iou  # you may use it


def average_precision(detections, targets, iou_threshold=0.5, method="area"):
    """The average precision of each class and its mean, {"mAP": float, "AP": {label: float}}.

    One dictionary an image, in the same order: detections with boxes (D, 4), labels (D,) and scores (D,), targets with
    boxes (G, 4) and labels (G,); D and G may be 0. Classes are all labels that appear, each judged for itself.

    All detections of a class are ranked by descending score; of equals, the earlier image and the earlier detection
    come first. In this order each claims the object of its class, in its image, that it overlaps most (of equals, the
    first), if the IoU is at least `iou_threshold`. The first claim of an object is right; every other detection is
    wrong, also where its second-best object is still free.

    After each rank: precision is the share of right ones so far, recall the number of right ones over the number of
    objects of the class. The envelope at a recall is the highest precision there or at any higher recall. AP is, with
    "area", the sum over the ranks of (rise of recall) x (envelope there); with "11-point", the mean of the envelope at
    the recalls 0, 0.1, .., 1, where it is 0 beyond the last recall that is reached.
    The AP of a class without objects is NaN and left out of the mean.

    Hints: judge first, which gives right or wrong for each rank; count then. Keep the two in two functions.
    """
    raise NotImplementedError
