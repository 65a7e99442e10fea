"""What the operators refuse before they look at a value: wrong shapes, types, devices and settings.

N, C, R and L as in `nms.py` and `roi_max_pool.py`. Values (NaN, batch indices, levels) are checked by the back end that
reads them: here that would break torch.compile's graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def check(good: bool, argument: str, expected: str, got: object = None) -> None:
    """Raises ValueError with the argument's name unless `good`."""
    if not good:
        raise ValueError(f"{argument}: expected {expected}" + ("" if got is None else f", got {got}"))


def check_nms(boxes: Tensor, scores: Tensor, segments: Tensor | None, iou_threshold: float) -> None:
    """Raise ValueError, naming the argument, unless shapes, types, devices and threshold are what NMS takes."""
    check(boxes.ndim == 2 and boxes.shape[1] == 4, "boxes", "shape (N, 4)", boxes.shape)
    check(boxes.is_floating_point(), "boxes", "floating point", boxes.dtype)
    check(scores.shape == boxes.shape[:1], "scores", "shape (N,), one for each box", scores.shape)
    check(scores.is_floating_point(), "scores", "floating point", scores.dtype)
    check(scores.device == boxes.device, "scores", "the device of boxes", scores.device)
    if segments is not None:
        check(segments.shape == boxes.shape[:1], "segments", "shape (N,), one for each box", segments.shape)
        check(segments.dtype == torch.int64, "segments", "int64", segments.dtype)
        check(segments.device == boxes.device, "segments", "the device of boxes", segments.device)
    check(0 <= iou_threshold <= 1, "iou_threshold", "a number in [0, 1]", iou_threshold)


def check_roi_max_pool(
    features: Sequence[Tensor], rois: Tensor, levels: Tensor, spatial_scales: Sequence[float], output_size: int
) -> None:
    """Raise ValueError, naming the argument, unless shapes, types, devices, scales and size fit the pooling."""
    check(len(features) > 0, "features", "at least one level")
    first = features[0]
    for level, feature in enumerate(features):
        name = f"features[{level}]"
        check(feature.ndim == 4, name, "shape (N, C, H, W)", feature.shape)
        check(feature.shape[:2] == first.shape[:2], name, "the N, C of level 0", feature.shape)
        check(feature.is_floating_point(), name, "floating point", feature.dtype)
        check(feature.dtype == first.dtype, name, "the type of level 0", feature.dtype)
        check(feature.device == first.device, name, "the device of level 0", feature.device)
    check(rois.ndim == 2 and rois.shape[1] == 5, "rois", "shape (R, 5)", rois.shape)
    check(rois.is_floating_point(), "rois", "floating point", rois.dtype)
    check(rois.device == first.device, "rois", "the device of features", rois.device)
    check(levels.shape == rois.shape[:1], "levels", "shape (R,), one for each RoI", levels.shape)
    check(levels.dtype == torch.int64, "levels", "int64", levels.dtype)
    check(levels.device == first.device, "levels", "the device of features", levels.device)
    check(len(spatial_scales) == len(features), "spatial_scales", "one for each level", len(spatial_scales))
    for scale in spatial_scales:
        check(0 < scale < math.inf, "spatial_scales", "finite positive numbers", scale)
    check(output_size >= 1, "output_size", "at least 1", output_size)
