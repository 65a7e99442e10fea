"""Area, overlap and clipping of boxes.

Boxes (N, 4) are float `x1 y1 x2 y2` in pixels: x points right, y down, and width = x2 - x1.
A box is empty if x2 <= x1 or y2 <= y1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fasterfpn.types import Size


def check_boxes(boxes: Tensor, name: str, dims: int | None = None) -> None:
    """Raise ValueError unless the argument `name` is floating-point (..., 4), with `dims` dimensions if given."""
    if boxes.ndim == 0 or boxes.shape[-1] != 4 or (dims is not None and boxes.ndim != dims):
        expected = "(N, 4)" if dims == 2 else "(..., 4)"
        raise ValueError(f"{name} must have shape {expected}, got {tuple(boxes.shape)}")
    if not boxes.is_floating_point():
        raise ValueError(f"{name} must be of a floating-point type, got {boxes.dtype}")


def _widen(boxes: Tensor) -> Tensor:
    """Convert half types to float32: an area overflows float16 above 65504, and bfloat16 keeps only 8 bits of it."""
    return boxes.float() if boxes.dtype in (torch.float16, torch.bfloat16) else boxes


def box_area(boxes: Tensor) -> Tensor:
    """Return the area (...) of boxes (..., 4) in square pixels, in their dtype (float32 for half types).

    Empty boxes have area 0. Raises ValueError for another shape or an integer dtype.
    """
    check_boxes(boxes, "boxes")
    x1, y1, x2, y2 = _widen(boxes).unbind(-1)
    return (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the intersection over union (N, M), in 0..1, of every pair of boxes1 (N, 4) and boxes2 (M, 4).

    The formula is inter / ((area_i + area_j) - inter), rounded at each step in the boxes' dtype (float32 for half
    types), so the IoU of a box with itself is exactly 1. It is 0, never NaN, for an empty box (even with itself), a box
    with a NaN, and a box whose area overflows or underflows. Allocates about four (N, M) tensors; fastest with the
    longer set second. Raises ValueError for another shape or an integer dtype.
    """
    check_boxes(boxes1, "boxes1", dims=2)
    check_boxes(boxes2, "boxes2", dims=2)
    left1, top1, right1, bottom1 = _widen(boxes1)[:, None].unbind(-1)  # (N, 1) each
    left2, top2, right2, bottom2 = _widen(boxes2).unbind(-1)  # (M,) each
    width = (torch.minimum(right1, right2) - torch.maximum(left1, left2)).clamp(min=0)
    height = (torch.minimum(bottom1, bottom2) - torch.maximum(top1, top2)).clamp(min=0)
    inter = width * height
    union = (box_area(boxes1)[:, None] + box_area(boxes2)) - inter
    return torch.where(union > 0, inter / union, 0)  # 0 / 0 and NaN compare false


def clip_boxes(boxes: Tensor, image_size: Size) -> Tensor:
    """Clip boxes (..., 4) to an image of `image_size`: x to 0..W, y to 0..H. Returns a new tensor.

    A box wholly outside becomes empty, on the nearest edge. NaN stays NaN. Differentiable.
    Raises ValueError for another shape or an integer dtype.
    """
    check_boxes(boxes, "boxes")
    height, width = image_size
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)), dim=-1)


def large_enough(boxes: Tensor, min_side: float) -> Tensor:
    """Return a mask (...) of the boxes (..., 4) with both sides >= `min_side` pixels; False where a side is NaN."""
    check_boxes(boxes, "boxes")
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1 >= min_side) & (y2 - y1 >= min_side)
