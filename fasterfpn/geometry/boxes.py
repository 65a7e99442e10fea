"""Area, overlap and clipping of boxes.

N, M boxes; boxes (N, 4) float `x1 y1 x2 y2` in pixels, x to the right, y down, continuous: width = x2 - x1.
A box is empty where x2 <= x1 or y2 <= y1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_boxes(boxes: Tensor, name: str, dims: int | None = None) -> None:
    """Raise ValueError, naming the argument, unless `boxes` is a float tensor (..., 4), of `dims` dimensions."""
    if boxes.ndim == 0 or boxes.shape[-1] != 4 or (dims is not None and boxes.ndim != dims):
        wanted = "(N, 4)" if dims == 2 else "(..., 4)"
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(boxes.shape)}")
    if not boxes.is_floating_point():
        raise ValueError(f"{name} must be of a floating-point type, got {boxes.dtype}")


def _widen(boxes: Tensor) -> Tensor:
    """float16 holds no area above 65504 and bfloat16 eight bits of one: half types are computed in float32."""
    return boxes.float() if boxes.dtype in (torch.float16, torch.bfloat16) else boxes


def box_area(boxes: Tensor) -> Tensor:
    """Area in square pixels of boxes (..., 4): (...), float32 for half types, else of their type; 0 for empty boxes.

    Raises ValueError for another shape or an integer type.
    """
    check_boxes(boxes, "boxes")
    x1, y1, x2, y2 = _widen(boxes).unbind(-1)
    return (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of every pair of boxes1 (N, 4) and boxes2 (M, 4): (N, M), in 0..1.

    inter / ((area_i + area_j) - inter), each step rounded in the boxes' type (float32 for half types), so that a
    box has exactly 1 with itself. An empty box has 0 with everything, itself included; so has a box with a NaN or
    whose area is too large or too small for the type: the result is never NaN. Needs some four (N, M) tensors of
    memory, and is fastest with the longer set second. Raises ValueError for another shape or an integer type.
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


def clip_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) cut off at the edges of an image of image_size (H, W) pixels: a new tensor, same shape and type.

    x ends in 0..W, y in 0..H; a box wholly outside becomes empty, on the nearest edge. Differentiable. NaN stays NaN.
    Raises ValueError for another shape or an integer type.
    """
    check_boxes(boxes, "boxes")
    height, width = image_size
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)), dim=-1)


def large_enough(boxes: Tensor, min_side: float) -> Tensor:
    """Which boxes (..., 4) have both sides >= min_side pixels: (...) bool. False where a side is NaN."""
    check_boxes(boxes, "boxes")
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1 >= min_side) & (y2 - y1 >= min_side)
