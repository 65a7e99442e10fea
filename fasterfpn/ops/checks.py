"""What the operators refuse before they look at a value: wrong shapes, types, devices and settings.

N, C, R, L and S as in `nms.py` and `roi_max_pool.py`. Values (NaN, batch indices, levels) are checked by the back end
that reads them: here that would break torch.compile's graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def check(good: bool, argument: str, expected: str, got: object = None) -> None:
    """Raise ValueError with the argument's name unless `good`."""
    if not good:
        raise ValueError(f"{argument}: expected {expected}" + ("" if got is None else f", got {got}"))


def check_tensor(
    tensor: Any, argument: str, shape: Sequence, like: Tensor | None = None, dtype: torch.dtype | None = None
) -> None:
    """Raise ValueError unless `tensor` is one of `shape`, e.g. ("R", 5), where a letter stands for any size; of `dtype`
    or, by default, of any float type; and on the device of `like`."""
    if not isinstance(tensor, Tensor):
        expected, got = "a tensor", type(tensor).__name__
    elif tensor.ndim != len(shape) or any(not isinstance(s, str) and s != n for s, n in zip(shape, tensor.shape)):
        expected, got = f"shape ({', '.join(map(str, shape))})", tuple(tensor.shape)
    elif not tensor.is_floating_point() if dtype is None else tensor.dtype != dtype:
        expected, got = dtype or "floating point", tensor.dtype
    elif like is not None and tensor.device != like.device:
        expected, got = like.device, tensor.device
    else:
        return
    raise ValueError(f"{argument}: expected {expected}, got {got}")


def check_nms(boxes: Tensor, scores: Tensor, segments: Tensor | None, iou_threshold: float) -> None:
    """Raise ValueError, naming the argument, unless shapes, types, devices and threshold are what NMS takes."""
    check_tensor(boxes, "boxes", ("N", 4))
    check_tensor(scores, "scores", boxes.shape[:1], boxes)
    if segments is not None:
        check_tensor(segments, "segments", boxes.shape[:1], boxes, torch.int64)
    check(0 <= iou_threshold <= 1, "iou_threshold", "a number in [0, 1]", iou_threshold)


def check_pooling(features: Sequence[Tensor], rois: Tensor, levels: Tensor, spatial_scales: Sequence[float]) -> None:
    """Raise ValueError, naming the argument, unless shapes, types, devices and scales fit each other."""
    check_tensor(features[0], "features[0]", ("N", "C", "H", "W"))
    first, shape = features[0], (*features[0].shape[:2], "H", "W")
    for level, feature in enumerate(features):
        check_tensor(feature, f"features[{level}]", shape, first, first.dtype)
    check_tensor(rois, "rois", ("R", 5), first)
    check_tensor(levels, "levels", rois.shape[:1], first, torch.int64)
    check(len(spatial_scales) == len(features), "spatial_scales", "one for each level", len(spatial_scales))
    for scale in spatial_scales:
        check(0 < scale < math.inf, "spatial_scales", "finite positive numbers", scale)


def as_sequence(values: Any, argument: str, expected: str) -> Sequence:
    """A list or tuple as it is; ValueError for anything else, and for an empty one."""
    check(isinstance(values, list | tuple) and len(values) > 0, argument, expected, type(values).__name__)
    return values


def as_number(value: Any, argument: str) -> float:
    """A real number of any kind (Python's, numpy's, a tensor of one element) as a float."""
    if isinstance(value, float | int | torch.SymFloat):
        return value
    check(hasattr(value, "__float__"), argument, "a number", type(value).__name__)
    return float(value)


def as_size(value: Any) -> int:
    """The number of bins per side, S, from an integer of any kind or from a list or tuple of two equal ones."""
    sides = tuple(value) if isinstance(value, list | tuple) else (value,)
    whole = len(sides) in (1, 2) and all(isinstance(s, int | torch.SymInt) or hasattr(s, "__index__") for s in sides)
    good = whole and int(sides[0]) == int(sides[-1]) >= 1
    check(good, "output_size", "a positive integer, or a pair of equal ones", value)
    return int(sides[0])
