"""Non-maximum suppression as a torch operator: public functions and the fake implementation.

N boxes, K kept; boxes (N, 4) x1 y1 x2 y2 pixels; scores (N,); segments (N,) int64: boxes of different ones never meet.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fasterfpn.ops import backend, reference
from fasterfpn.ops.checks import as_number, check_nms


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression: by descending score, keep each box that no kept box overlaps by more than
    `iou_threshold`.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, any float type, finite; any strides.
        scores: (N,), any float type; infinite is allowed, NaN is not.
        iou_threshold: in [0, 1]; a box is suppressed where IoU > threshold, strictly.

    Returns:
        (K,) int64 indices of the kept boxes, by descending score, of equal scores the lower index first. Not
        differentiable.

    IoU = inter / ((area_i + area_j) - inter), each step rounded in float32 (float64 for float64 boxes; half types are
    widened) and compared with the largest such number not above the threshold, which is what torchvision's CPU kernel
    decides. An empty or inverted box has IoU 0 with everything: it is kept and suppresses nothing, as does a box so
    large that its area overflows.

    Raises:
        ValueError: naming the argument, for a wrong shape, type, device or threshold; on the CPU also for a coordinate
            that is not finite and for a score that is NaN. On CUDA, where that would be to wait for the device, such a
            box is kept and suppresses nothing, and such a score counts as the highest.
    """
    return _nms(boxes, scores, None, iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, segments: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each segment (class, level, image): boxes of different segments do not suppress each other.

    Args as `nms`, and segments: (N,) int64, any values. Returns (K,) int64 indices by descending score over all
    segments, ties by lower index. No coordinates are offset, so nothing is lost to rounding (torchvision's trick does).
    """
    return _nms(boxes, scores, segments, iou_threshold)


def _nms(boxes: Tensor, scores: Tensor, segments: Tensor | None, iou_threshold: float) -> Tensor:
    threshold = as_number(iou_threshold, "iou_threshold")
    check_nms(boxes, scores, segments, threshold)
    if backend.runs_native(boxes.device):
        return backend.call("nms", boxes, scores, segments, threshold, backend.version("nms"))
    return reference.nms(boxes, scores, segments, threshold)


if backend.load():

    @torch.library.register_fake("fasterfpn::nms")
    def _nms_fake(boxes, scores, segments, iou_threshold, version):
        kept = torch.library.get_ctx().new_dynamic_size()  # depends on the boxes: the compiler may only know K >= 0
        return boxes.new_empty(kept, dtype=torch.int64)
