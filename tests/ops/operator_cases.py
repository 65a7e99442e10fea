"""What the operators' tests share: the back ends of this machine, and random inputs that lie on boundaries."""

from contextlib import AbstractContextManager

import pytest
import torch
from hypothesis import strategies as st

from fasterfpn.ops import backend, use_backend

BUILT = pytest.mark.skipif(not backend.load(), reason="the compiled operators are not built")
BACKENDS = pytest.mark.parametrize("backend", [pytest.param("native", marks=BUILT), "reference"])


def versions(kernel: str) -> range:
    """Of the kernel on the CPU, from 1; none if it is not built."""
    return range(1, len(backend.versions(kernel, "cpu")) + 1)


def newest_first(count: int, name: str = "") -> list:
    """Versions 1 to `count` of a kernel, or "name v1" and so on, as parameters. The newest is the one in use; those
    before it are for CI."""
    names = [f"{name} v{version}" if name else version for version in range(1, count + 1)]
    return names[-1:] + [pytest.param(older, marks=pytest.mark.slow) for older in names[:-1]]


def kernels(operator: str) -> pytest.MarkDecorator:
    """Parametrises a test over everything here that can run `operator` on CPU tensors: `with running(kernel): ...`"""
    return pytest.mark.parametrize("kernel", ["reference", *native_kernels(operator)])


def native_kernels(operator: str) -> list:
    return newest_first(len(versions(operator)), operator)


def running(kernel: str) -> AbstractContextManager[None]:
    """Runs the operators on one of `kernels`."""
    if kernel == "reference":
        return use_backend("reference")
    operator, version = kernel.split(" v")
    return use_backend("native", **{operator: int(version)})


NMS_KERNELS, POOLING_KERNELS = kernels("nms"), kernels("roi_max_pool")
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
THRESHOLDS = (0.0, 0.2, 1 / 3, 0.5, 0.7, 1.0)
COUNTS = (0, 1, 2, 3, 20, 63, 64, 65)

seeds = st.integers(0, 2**32)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@st.composite
def box_sets(draw, dtypes=(torch.float32,)):
    """boxes (N, 4), scores (N,), segments (N,): on a small grid (identical boxes, IoUs that equal a threshold, ties),
    scattered, huge, or partly empty and inverted; dense, a slice of something else, or one row expanded."""
    rng, count, dtype = generator(draw(seeds)), draw(st.sampled_from(COUNTS)), draw(st.sampled_from(dtypes))
    kind = draw(st.sampled_from(("grid", "scattered", "huge", "degenerate", "expanded")))
    corners, sides = torch.rand(2, count, 2, generator=rng, dtype=torch.float64)
    if kind in ("grid", "degenerate"):
        corners, sides = (corners * 8).floor() - 4, (sides * 5).floor() + (1 if kind == "grid" else -2)
    else:
        corners, sides = corners * 50 - 20, sides * 40 + 1
    boxes = torch.cat((corners, corners + sides), dim=1) * (1e30 if kind == "huge" and dtype.itemsize > 2 else 1)
    scores, segments = torch.rand(count, generator=rng), torch.randint(-1, 2, (count,), generator=rng)
    scores = (scores * 4).round() / 4 if draw(st.booleans()) else scores
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    if kind == "expanded" and count:
        return boxes[:1].expand(count, 4), scores[:1].expand(count), segments[:1].expand(count)
    if draw(st.booleans()):
        boxes, scores = boxes.repeat_interleave(2, dim=1)[:, ::2], scores.repeat_interleave(2)[::2]
    return boxes, scores, segments


# Coordinates in cells: halves, the float under one half, and its neighbours; far outside the map.
CORNERS = torch.tensor([0.0, 0.5, -0.5, 1.5, 2.5, 0.49999997, -0.49999997, 1.4999999, 5.0, 8.5, -9.0, 40.0, 3e7, -1e30])


def feature_map(rng, shape, dtype, layout, values):
    feature = torch.randn(shape, generator=rng, dtype=torch.float64)
    if values == "ties":
        feature = feature.round()
    if values == "nothing":
        feature[feature > 0.5], feature[feature < -0.5] = torch.nan, -torch.inf
    feature = feature.to(dtype)
    if layout == "channels_last":
        return feature.contiguous(memory_format=torch.channels_last)
    if layout == "sliced":
        return feature.repeat_interleave(2, dim=1).repeat_interleave(2, dim=3)[:, ::2, :, ::2]
    return feature[:, :, :1, :1].expand(shape) if layout == "expanded" and feature.numel() else feature


@st.composite
def pooling_cases(draw, dtypes=(torch.float32,), values=("plain", "ties", "nothing"), max_rois=12):
    """features (one to three levels), rois (R, 5), levels (R,), spatial_scales, output_size."""
    rng, dtype = generator(draw(seeds)), draw(st.sampled_from(dtypes))
    images, channels, depth = draw(st.integers(1, 2)), draw(st.sampled_from((1, 2, 3, 17))), draw(st.integers(1, 3))
    layouts, sizes = ("contiguous", "channels_last", "sliced", "expanded"), st.tuples(*[st.integers(0, 13)] * 2)
    features = [
        feature_map(
            rng,
            (images, channels, *draw(sizes)),
            dtype,
            draw(st.sampled_from(layouts)),
            draw(st.sampled_from(values)),
        )
        for _ in range(depth)
    ]
    scales = [draw(st.sampled_from((1.0, 0.25, 0.3))) for _ in range(depth)]
    count = draw(st.integers(0, max_rois))
    levels = torch.randint(depth, (count,), generator=rng)
    corners = torch.rand(count, 4, generator=rng) * 12 - 1  # in cells; most in order, some replaced by special ones
    corners[:, 2:] = torch.where(torch.rand(count, 1, generator=rng) < 0.8, corners[:, :2] + 6, corners[:, 2:])
    special = CORNERS[torch.randint(len(CORNERS), corners.shape, generator=rng)]
    corners = torch.where(torch.rand(corners.shape, generator=rng) < 0.3, special, corners)
    boxes = corners / torch.tensor(scales)[levels, None]
    batch = torch.randint(images, (count, 1), generator=rng)
    rois = torch.cat((batch, boxes), dim=1).to(draw(st.sampled_from((torch.float32, torch.float64))))
    return features, rois, levels, scales, draw(st.integers(1, 7))
