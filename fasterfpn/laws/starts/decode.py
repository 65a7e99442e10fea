"""Exercise decode: the box that lies at four deltas from an anchor (docs/06_box_coding.md)."""

import math

import torch

MAX_LOG_RATIO = math.log(1000 / 16)


def decode_boxes(deltas, anchors):
    """The box that each row of deltas (dx, dy, dw, dh) makes of its anchor (eq. 1).

    deltas (N, 4) and anchors (N, 4) are float tensors, an anchor is x1 y1 x2 y2 in pixels. Returns boxes (N, 4) as
    x1 y1 x2 y2. A side is at most 1000 / 16 = 62.5 times the anchor's: dw and dh are cut at log(62.5), so that no wild
    network overflows exp. They are not cut below. N may be 0. Leave the arguments as they are.

    Hints: move the centre, scale the size, and only then make corners of them.
    """
    raise NotImplementedError
