"""Boxes as the four deltas from an anchor that a network can learn, and back (eq. 4 and eq. 1).

... any leading dimensions, broadcast against each other: for class-specific deltas (R, K, 4), anchors are (R, 1, 4).
A the anchor, G the ground truth, G' the decoded box; of each, (x, y) is the centre and (w, h) the size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fasterfpn.geometry.boxes import check_boxes

# Deviation from eq. 1, after detectron: dw and dh are cut here, so that no random network overflows exp.
# No box is decoded to more than 1000 / 16 = 62.5 times its anchor's side.
MAX_LOG_RATIO = math.log(1000 / 16)


def _center_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h


def encode_boxes(
    boxes: Tensor, anchors: Tensor, weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
) -> Tensor:
    """Deltas t* (..., 4) = (tx, ty, tw, th), without unit, that lead from `anchors` to `boxes` (eq. 4).

    boxes, anchors (..., 4), float; `weights` multiply the four deltas (1 in the paper; (10, 10, 5, 5) in torchvision's
    box head). Both must have sides above 0: others give infinite or NaN deltas.
    Raises ValueError for another shape or an integer type.
    """
    check_boxes(boxes, "boxes")
    check_boxes(anchors, "anchors")
    wx, wy, ww, wh = weights
    Gx, Gy, Gw, Gh = _center_size(boxes)
    Ax, Ay, Aw, Ah = _center_size(anchors)
    tx = wx * (Gx - Ax) / Aw
    ty = wy * (Gy - Ay) / Ah
    tw = ww * torch.log(Gw / Aw)
    th = wh * torch.log(Gh / Ah)
    return torch.stack((tx, ty, tw, th), dim=-1)


def decode_boxes(
    deltas: Tensor, anchors: Tensor, weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
) -> Tensor:
    """Boxes G' (..., 4), pixels, that lie at `deltas` from `anchors`, both (..., 4) (eq. 1); not clipped to any image.

    Inverse of `encode_boxes` with the same weights, as far as a box's sides are at most 62.5 times its anchor's; longer
    ones come out at 62.5 times, same centre. Computed in the wider of the two types. Raises ValueError for another
    shape or an integer type.
    """
    check_boxes(deltas, "deltas")
    check_boxes(anchors, "anchors")
    wx, wy, ww, wh = weights
    dx, dy, dw, dh = deltas.to(torch.promote_types(deltas.dtype, anchors.dtype)).unbind(-1)
    Ax, Ay, Aw, Ah = _center_size(anchors)
    x = Aw * (dx / wx) + Ax
    y = Ah * (dy / wy) + Ay
    w = Aw * torch.exp((dw / ww).clamp(max=MAX_LOG_RATIO))
    h = Ah * torch.exp((dh / wh).clamp(max=MAX_LOG_RATIO))
    return torch.stack((x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h), dim=-1)
