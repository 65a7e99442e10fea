"""RoI max pooling over the levels of a pyramid as a torch operator: public functions, fake, autograd.

N images, C channels, L levels, R regions of interest (RoIs), S bins per side; features[l] (N, C, H_l, W_l);
rois (R, 5): batch index and x1 y1 x2 y2 in input pixels; levels (R,) int64 indices into features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fasterfpn.ops import backend, checks, reference


def roi_max_pool(
    features: Tensor, rois: Tensor | Sequence[Tensor], spatial_scale: float, output_size: int | Sequence[int] = 7
) -> Tensor:
    """`multiscale_roi_max_pool` on one level: features (N, C, H, W), rois (R, 5); returns (R, C, S, S).

    The arguments are those of `torchvision.ops.roi_pool`, but bins are square: a pair of sides must be equal.
    """
    checks.check_tensor(features, "features", ("N", "C", "H", "W"))
    rois = _as_rois(rois, features)
    levels = torch.zeros(rois.shape[:1], dtype=torch.int64, device=rois.device)
    scale = checks.as_number(spatial_scale, "spatial_scale")
    return multiscale_roi_max_pool([features], rois, levels, [scale], output_size)


def multiscale_roi_max_pool(
    features: Sequence[Tensor],
    rois: Tensor | Sequence[Tensor],
    levels: Tensor,
    spatial_scales: Sequence[float],
    output_size: int | Sequence[int] = 7,
) -> Tensor:
    """The maximum of each channel in S x S bins of each RoI, on the RoI's level of the pyramid (Fast R-CNN, 2.1).

    Args:
        features: L maps (N, C, H_l, W_l) of one float type; any strides, but channels-last memory saves a copy.
        rois: (R, 5) batch index, x1, y1, x2, y2 in input pixels, finite, any float type (under autocast too they are
            taken as they come: keep them in float32). Or N tensors (K, 4) of boxes, those of each image, of which R are
            all together.
        levels: (R,) int64, the index into `features` for each RoI.
        spatial_scales: L numbers, cells per pixel (1 / stride).
        output_size: S, or the pair (S, S).

    Returns:
        (R, C, S, S), the features' type. Differentiable in the features, once.

    Corners are scaled, clamped to +-2^24 cells and rounded, halves away from zero, to cells that both belong to the
    RoI: x2 = x1 covers one. Bin i of a side of n cells spans floor(i n/S) to ceil((i+1) n/S), computed in float32
    (float64 for float64 RoIs), and is clipped to the map; all as torchvision's `roi_pool`. Of equal maxima the first in
    row-major order gets the gradient. An empty bin (a RoI outside the map, an empty map) is 0 with no gradient. NaN is
    never taken; a bin of nothing but -inf and NaN is -inf with no gradient (torchvision: -3.4e38). Deviation from
    torchvision, which pools one cell there: a RoI with x2 < x1 or y2 < y1 gives zeros.

    Raises:
        ValueError: naming the argument, for a wrong shape, type, device, scale or size, and for a non-finite corner, a
            batch index or a level out of range (on the CPU; on CUDA, where that would be to wait for the device, such
            a RoI gives zeros).
    """
    features = checks.as_sequence(features, "features", "a list of at least one level")
    checks.check_tensor(features[0], "features[0]", ("N", "C", "H", "W"))
    rois, size = _as_rois(rois, features[0]), checks.as_size(output_size)
    scales = checks.as_sequence(spatial_scales, "spatial_scales", "a list with one number for each level")
    scales = [checks.as_number(scale, "spatial_scales") for scale in scales]
    checks.check_pooling(features, rois, levels, scales)
    if not backend.runs_native(rois.device):
        return reference.roi_max_pool(features, rois, levels, scales, size)[0]
    with_argmax = torch.is_grad_enabled() and any(feature.requires_grad for feature in features)
    rois = rois.detach().to(reference.working_dtype(rois))
    version = backend.version("roi_max_pool")
    return backend.call("roi_max_pool", features, rois, levels, scales, size, with_argmax, version)[0]


def _as_rois(rois: Tensor | Sequence[Tensor], feature: Tensor) -> Tensor:
    """RoIs (R, 5); from boxes (K, 4) image by image, one image after the other."""
    if not isinstance(rois, list | tuple):
        return rois
    images = feature.shape[0]
    checks.check(len(rois) == images > 0, "rois", f"one tensor (K, 4) for each of {images} images", len(rois))
    for image, boxes in enumerate(rois):
        checks.check_tensor(boxes, f"rois[{image}]", ("K", 4), feature)
    # Widened first: half types do not hold every index of an image.
    parts = [boxes.to(reference.working_dtype(boxes)) for boxes in rois]
    return torch.cat([torch.nn.functional.pad(part, (1, 0), value=image) for image, part in enumerate(parts)])


def _fake(features, rois, levels, spatial_scales, output_size, with_argmax, version):
    shape = (rois.shape[0], features[0].shape[1], output_size, output_size)
    return features[0].new_empty(shape), _empty_argmax(features, shape if with_argmax else (0,))


def _empty_argmax(features, shape):
    """An arg-max as the kernels make it: of the smallest type that holds -1 and all cells' indices; on the CPU with the
    channels of a bin side by side. Both depend on shapes alone, so that tracing knows them."""
    cells, on_cpu = max(feature.shape[2] * feature.shape[3] for feature in features), features[0].device.type == "cpu"
    dtype = torch.int64 if cells >= 2**31 else torch.int16 if on_cpu and cells < 2**15 else torch.int32
    memory_format = torch.channels_last if on_cpu and len(shape) == 4 else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=features[0].device, memory_format=memory_format)


def _backward_fake(grad, rois, levels, argmax, feature_shapes, spatial_scales, channels_last, version):
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    shapes = [feature_shapes[i : i + 4] for i in range(0, len(feature_shapes), 4)]
    return [torch.empty(s, dtype=grad.dtype, device=grad.device, memory_format=memory_format) for s in shapes]


def _save(ctx, inputs, output) -> None:
    features, rois, levels, ctx.spatial_scales, _, ctx.with_argmax, ctx.version = inputs
    ctx.save_for_backward(rois, levels, output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.feature_shapes = [size for feature in features for size in feature.shape]
    ctx.channels_last = features[0].stride(1) == 1


def _backward(ctx, grad, _):
    if not ctx.with_argmax:
        raise RuntimeError("with_argmax: must be True in fasterfpn::roi_max_pool for its gradient")
    saved = ctx.saved_tensors
    layout = ctx.feature_shapes, ctx.spatial_scales, ctx.channels_last
    grads = torch.ops.fasterfpn.roi_max_pool_backward(grad, *saved, *layout, ctx.version)
    return grads, None, None, None, None, None, None


def _refuse_second_derivative(ctx, *_):
    raise RuntimeError("fasterfpn::roi_max_pool differentiates once; use_backend('reference') goes on")


if backend.load():
    torch.library.register_fake("fasterfpn::roi_max_pool", _fake)
    torch.library.register_fake("fasterfpn::roi_max_pool_backward", _backward_fake)
    torch.library.register_autograd("fasterfpn::roi_max_pool", _backward, setup_context=_save)
    torch.library.register_autograd("fasterfpn::roi_max_pool_backward", _refuse_second_derivative)
