"""Exercise encode: a box as four deltas from an anchor (docs/06_box_coding.md)."""

import torch


def encode_boxes(boxes, anchors):
    """The deltas (tx, ty, tw, th) that lead from each anchor to its box (eq. 4).

    boxes (N, 4) and anchors (N, 4) are float tensors, a row x1 y1 x2 y2 in pixels, row i of one belongs to row i of the
    other; all sides are above 0. Returns a tensor (N, 4). N may be 0. Leave the arguments as they are.

    Hints: write both boxes as centre and size first. A shift counts in sides of the anchor; a size as the natural
    logarithm of a ratio.
    """
    raise NotImplementedError
