"""The specification of the two operators, in plain PyTorch: it calls no compiled code and runs on any device.

N boxes or images, K kept boxes, L levels, C channels, R regions of interest (RoIs), S output size: bins per side;
boxes (N, 4) and the last four columns of rois (R, 5) are x1 y1 x2 y2 in pixels; features[l] is (N, C, H_l, W_l).

The compiled kernels give the same indices, values and arg-max, bit for bit. So every step below is rounded in one fixed
type, the *working type*: float64 for float64 boxes or RoIs, else float32 (half types are widened).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fasterfpn.ops.checks import check

MAX_CELL = 2.0**24  # corners of RoIs are clamped to this many cells: float32 still counts every cell there


def working_dtype(tensor: Tensor) -> torch.dtype:
    """The type in which the coordinates of `tensor` are computed with."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


# --------------------------------------------------------------------------------------- non-maximum suppression


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, segments: Tensor | None, iou_threshold: float) -> Tensor:
    """Greedy NMS: the best box is kept, suppresses what overlaps it in its own segment, and so on with the rest.

    `fasterfpn.ops.nms` and `batched_nms` document arguments, ties, degenerates and what raises; they check shapes.
    """
    check(bool(boxes.isfinite().all()), "boxes", "finite coordinates")
    check(not bool(scores.isnan().any()), "scores", "numbers, not NaN")
    boxes = boxes.to(working_dtype(boxes))
    threshold = round_down(iou_threshold, boxes.dtype)
    rest = torch.sort(scores, descending=True, stable=True).indices  # stable: of equal scores the lower index first
    keep = [rest[:0]]
    while len(rest):
        best, rest = rest[:1], rest[1:]
        keep.append(best)
        suppressed = iou(boxes[best], boxes[rest]) > threshold
        if segments is not None:
            suppressed &= segments[best] == segments[rest]
        rest = rest[~suppressed]
    return torch.cat(keep)


def iou(box: Tensor, others: Tensor) -> Tensor:
    """inter / ((area_i + area_j) - inter) of box (1, 4) with others (M, 4): (M,), each step rounded.

    With an empty box, inter is 0; the result is then 0 or (0 / 0) NaN, and neither exceeds a threshold.
    """
    x1, y1, x2, y2 = box.unbind(1)
    u1, v1, u2, v2 = others.unbind(1)
    inter = (x2.minimum(u2) - x1.maximum(u1)).clamp(min=0) * (y2.minimum(v2) - y1.maximum(v1)).clamp(min=0)
    return inter / (((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1)) - inter)


def round_down(threshold: float, dtype: torch.dtype) -> float:
    """The largest number of `dtype` not above `threshold`: to exceed the one is to exceed the other."""
    rounded = torch.tensor(threshold, dtype=dtype)
    if rounded.item() > threshold:
        rounded = rounded.nextafter(torch.tensor(-math.inf, dtype=dtype))
    return rounded.item()


# --------------------------------------------------------------------------------------------- RoI max pooling


def roi_max_pool(
    features: Sequence[Tensor], rois: Tensor, levels: Tensor, spatial_scales: Sequence[float], output_size: int
) -> tuple[Tensor, Tensor]:
    """Max pooling of each RoI on its level: values and arg-max, both (R, C, S, S).

    Values are gathered from the features, so that autograd sends each bin's gradient to the cell it came from. The
    arg-max is y * W_l + x on the RoI's level, -1 where no cell was taken; int32, or int64 where a level needs it.
    `fasterfpn.ops.multiscale_roi_max_pool` documents arguments, ties, degenerates and what raises; it checks shapes.
    """
    batch, count = rois[:, 0], features[0].shape[0]
    check(bool(rois.isfinite().all()), "rois", "finite numbers")
    known = (batch >= 0) & (batch < count) & (batch == batch.trunc())
    check(bool(known.all()), "rois", f"batch indices in [0, {count})")
    check(bool(((levels >= 0) & (levels < len(features))).all()), "levels", f"indices in [0, {len(features)})")
    channels, bins = features[0].shape[1], (output_size, output_size)
    argmax = torch.full((len(rois), channels, *bins), -1, device=rois.device)
    values = features[0].new_zeros(argmax.shape)
    for level, (feature, scale) in enumerate(zip(features, spatial_scales, strict=True)):
        chosen = (levels == level).nonzero().flatten()
        images = batch[chosen].long()
        ys, xs = bin_edges(rois[chosen], scale, feature.shape[2:], output_size)
        for roi, image, y, x in zip(chosen.tolist(), images.tolist(), ys.unbind(1), xs.unbind(1), strict=True):
            argmax[roi] = first_maximum(feature[image].detach(), y, x)
        empty = (ys[0] >= ys[1])[:, :, None] | (xs[0] >= xs[1])[:, None, :]
        values[chosen] = gather_maximum(feature, images, argmax[chosen], empty)
    large = max(feature.shape[2] * feature.shape[3] for feature in features) >= 2**31
    return values, argmax if large else argmax.int()


def bin_edges(rois: Tensor, scale: float, size: Sequence[int], bins: int) -> tuple[Tensor, Tensor]:
    """First and one past the last cell of each bin of rois (R, 5), on a map of `size` (H, W): y (2, R, S), x (2, R, S).

    The corners' cells belong to the RoI, so that x2 = x1 covers one cell. torchvision's expression in the working type;
    rounding may let the last bin reach one cell past the RoI (57 cells in 7 bins: ceil(7 * (57 / 7)) = 58).
    """
    dtype = working_dtype(rois)
    corners = round_half_away((rois[:, 1:].to(dtype) * torch.tensor(scale, dtype=dtype)).clamp(-MAX_CELL, MAX_CELL))
    inverted = (rois[:, 3] < rois[:, 1]) | (rois[:, 4] < rois[:, 2])
    bin = torch.arange(bins, dtype=dtype, device=rois.device)
    edges = []
    for start, stop, cells in ((corners[:, 1], corners[:, 3], size[0]), (corners[:, 0], corners[:, 2], size[1])):
        length = (stop - start + 1).to(dtype)
        width = (length / torch.full_like(length, bins))[:, None]  # a tensor: CUDA multiplies by a scalar's reciprocal
        begin = start[:, None] + (bin * width).floor().long()
        end = start[:, None] + ((bin + 1) * width).ceil().long()
        end = torch.where(inverted[:, None], begin, end)
        edges.append(torch.stack((begin, end)).clamp(0, cells))
    return edges[0], edges[1]


def round_half_away(x: Tensor) -> Tensor:
    """Nearest integer, halves away from zero, as int64: exact, unlike floor(x + 0.5), which takes 0.49999997 to 1."""
    whole = x.trunc()
    return (whole + ((x - whole).abs() >= 0.5) * x.sign()).long()


def first_maximum(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Arg-max (C, S, S) over the bins with edges y, x (2, S) of one feature map (C, H, W): of a tie, the first cell
    in row-major order. NaN is never taken; -1 where nothing exceeds -inf."""
    bins, (height, width) = y.shape[1], feature.shape[1:]
    ys = y[0, :, None] + torch.arange(int((y[1] - y[0]).max().clamp(min=0)), device=y.device)  # (S, bin height)
    xs = x[0, :, None] + torch.arange(int((x[1] - x[0]).max().clamp(min=0)), device=x.device)  # (S, bin width)
    if ys.numel() * xs.numel() == 0:
        return torch.full((feature.shape[0], bins, bins), -1, device=y.device)
    inside = (ys < y[1, :, None])[:, None, :, None] & (xs < x[1, :, None])[None, :, None, :]
    ys, xs = ys.clamp(max=height - 1)[:, None, :, None], xs.clamp(max=width - 1)[None, :, None, :]
    window = feature[:, ys, xs]  # (C, S, S, bin height, bin width)
    window = window.masked_fill(~inside | window.isnan(), -math.inf)
    best, index = window.flatten(3).max(-1)  # of a tie, the first
    cell = (ys * width + xs).flatten(2).expand(*window.shape[:3], -1).gather(3, index[..., None])[..., 0]
    return torch.where(best > -math.inf, cell, -1)


def gather_maximum(feature: Tensor, batch: Tensor, argmax: Tensor, empty: Tensor) -> Tensor:
    """The features (N, C, H, W) at argmax (R, C, S, S) in the images batch (R,); 0 in bins that are empty (R, S, S),
    -inf in those that hold nothing but -inf and NaN."""
    _, channels, height, width = feature.shape
    nothing = torch.where(empty, 0.0, -math.inf)[:, None].to(feature.dtype)
    if feature.numel() == 0:
        return nothing.expand(argmax.shape) + feature.sum()  # 0, but it keeps autograd's graph
    plane = (batch[:, None] * channels + torch.arange(channels, device=batch.device))[:, :, None, None]
    index = plane * (height * width) + argmax.clamp(min=0)
    # One dimension, so that the gradient's scatter-add has one order; float32, so that it does not round half types.
    taken = feature.reshape(-1).to(torch.promote_types(feature.dtype, torch.float32)).gather(0, index.flatten())
    return torch.where(argmax >= 0, taken.view(argmax.shape).to(feature.dtype), nothing)
