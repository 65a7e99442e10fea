"""Laws of RoI max pooling, on every back end."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import (
    BUILT,
    DTYPES,
    POOLING_KERNELS,
    feature_map,
    generator,
    native_kernels,
    pooling_cases,
    running,
    seeds,
    versions,
)

from fasterfpn.ops import backend, multiscale_roi_max_pool, reference, roi_max_pool, use_backend


def pool(kernel, case):
    """Values and arg-max of a case on a back end."""
    if kernel == "reference":
        return reference.roi_max_pool(*case)
    with running(kernel):
        return torch.ops.fasterfpn.roi_max_pool(*case, True, backend.version("roi_max_pool"))


def nearest(x):
    """Exact rounding of a float, halves away from zero."""
    return int(math.copysign(math.floor(abs(Fraction(float(x))) + Fraction(1, 2)), x))


def by_definition(features, rois, levels, scales, size):
    """Bin by bin and cell by cell, with numpy's scalars."""
    number = np.float64 if rois.dtype == torch.float64 else np.float32
    values = torch.zeros(len(rois), features[0].shape[1], size, size, dtype=torch.float64)
    argmax = torch.full(values.shape, -1)
    for r, (roi, level) in enumerate(zip(rois.numpy(), levels.tolist(), strict=True)):
        feature = features[level][int(roi[0])].double()
        channels, height, width = feature.shape
        x1, y1, x2, y2 = (
            nearest(np.clip(number(c) * number(scales[level]), number(-(2**24)), number(2**24))) for c in roi[1:]
        )
        if roi[3] < roi[1] or roi[4] < roi[2]:
            continue
        bin_h, bin_w = number(y2 - y1 + 1) / number(size), number(x2 - x1 + 1) / number(size)
        for c, i, j in np.ndindex(channels, size, size):
            rows = range(int(np.floor(number(i) * bin_h)) + y1, int(np.ceil(number(i + 1) * bin_h)) + y1)
            columns = range(int(np.floor(number(j) * bin_w)) + x1, int(np.ceil(number(j + 1) * bin_w)) + x1)
            # Only those on the map: cutting the ranges keeps a RoI of 2^25 cells from being walked.
            rows = range(max(rows.start, 0), min(rows.stop, height))
            columns = range(max(columns.start, 0), min(columns.stop, width))
            if rows and columns:
                values[r, c, i, j] = -torch.inf
            for y in rows:
                for x in columns:
                    if feature[c, y, x] > values[r, c, i, j]:
                        values[r, c, i, j], argmax[r, c, i, j] = feature[c, y, x], y * width + x
    return values, argmax


@POOLING_KERNELS
@given(st.data())
def test_definition(kernel, data):
    case = data.draw(pooling_cases(max_rois=2).filter(lambda case: case[0][0].shape[1] < 3 and case[4] < 5))
    values, argmax = pool(kernel, case)
    expected_values, expected_argmax = by_definition(*case)
    assert torch.equal(values.double(), expected_values)
    assert torch.equal(argmax.long(), expected_argmax)


@POOLING_KERNELS
@given(pooling_cases(DTYPES))
def test_equals_reference(kernel, case):
    values, argmax = pool(kernel, case)
    reference_values, reference_argmax = pool("reference", case)
    assert values.dtype == reference_values.dtype == case[0][0].dtype
    assert torch.equal(values, reference_values)
    assert torch.equal(argmax.int(), reference_argmax)
    with running(kernel):
        assert torch.equal(multiscale_roi_max_pool(*case), values)  # without an arg-max


@POOLING_KERNELS
@given(pooling_cases(DTYPES), seeds)
def test_gradient_goes_to_the_argmax(kernel, case, seed):
    """Each bin's gradient arrives whole at its cell; small integers are summed exactly in every type, so their sum is
    kept."""
    features, rois, levels, scales, size = case
    features = [feature.detach().requires_grad_() for feature in features]
    with running(kernel):
        values = multiscale_roi_max_pool(features, rois, levels, scales, size)
    upstream = torch.randint(-2, 3, values.shape, generator=generator(seed)).to(values.dtype)
    gradients = torch.autograd.grad(values, features, upstream)
    _, argmax = pool(kernel, case)
    expected = [np.zeros((*feature.shape[:2], feature[0, 0].numel())) for feature in features]
    for r, c, i, j in np.argwhere(argmax.numpy() >= 0):
        expected[levels[r]][int(rois[r, 0]), c, argmax[r, c, i, j]] += upstream[r, c, i, j].item()
    for feature, gradient, sums in zip(features, gradients, expected, strict=True):
        assert gradient.dtype == feature.dtype
        assert np.array_equal(gradient.double().flatten(2).numpy(), sums)
    total = sum(gradient.double().sum() for gradient in gradients)
    assert total == upstream.double()[argmax >= 0].sum()


@POOLING_KERNELS
@given(seeds, st.integers(0, 5), st.integers(0, 5), st.sampled_from(("contiguous", "channels_last")))
def test_commutes_with_shifts_by_whole_strides(kernel, seed, right, down, layout):
    rng, stride = generator(seed), 4
    feature = feature_map(rng, (2, 3, 16, 16), torch.float32, layout, "ties")
    corners = torch.randint(0, 15 * stride - 2, (6, 2, 2), generator=rng) * 0.5  # at most 29 px: inside the map
    batch = torch.randint(2, (6, 1), generator=rng)
    rois = torch.cat((batch, corners.amin(1), corners.amax(1)), dim=1)
    shifted = torch.nn.functional.pad(feature, (right, 0, down, 0), value=100.0)
    moved = rois + stride * torch.tensor([0.0, right, down, right, down])
    with running(kernel):
        before, after = roi_max_pool(feature, rois, 1 / stride), roi_max_pool(shifted, moved, 1 / stride)
    assert torch.equal(before, after)


@POOLING_KERNELS
def test_corners_round_half_away_from_zero(kernel):
    """On a ramp the maximum of a 1 x 1 pooling is its last cell. Half to even would take (.5, .5, 4.5, 4.5) to 0..4."""
    ramp = torch.arange(100.0).view(1, 1, 10, 10)
    for high, cell in ((4.5, 5), (4.4999995, 4), (2.5, 3), (0.5, 1), (0.49999997, 0), (-0.49999997, 0)):
        with running(kernel):
            value = roi_max_pool(ramp, torch.tensor([[0.0, -3.0, -3.0, high, high]]), 1.0, 1)
        assert value.item() == 11 * cell, high
    with running(kernel):
        lowest = -roi_max_pool(-ramp, torch.tensor([[0.0, 0.5, 0.5, 4.5, 4.5]]), 1.0, 1)
    assert lowest.item() == 11  # 0.5 to 1: 5 x 5 = 25 cells; half to even would take 0..4


@pytest.mark.parametrize("dtype, differing, first", [(torch.float32, 64, 57), (torch.float64, None, None)])
def test_bin_edges_are_those_of_the_working_type(dtype, differing, first):
    """Sizes 1..2000 in 7 bins whose float edges are not the exact integers; all others are."""
    sizes = torch.arange(1, 2001)
    rois = torch.zeros(2000, 5, dtype=dtype)
    rois[:, 3] = sizes - 1
    _, (begin, end) = reference.bin_edges(rois, 1.0, (1, 4000), 7)
    i = torch.arange(7)
    wrong = (begin != sizes[:, None] * i // 7) | (end != (sizes[:, None] * (i + 1) + 6) // 7)
    found = sizes[wrong.any(1)]
    if differing is not None:
        assert (len(found), found[0]) == (differing, first)
    assert (end - begin >= 1).all()


@POOLING_KERNELS
def test_edges_that_float32_rounds_up(kernel):
    """57 cells in 7 bins: ceil(7 * (57 / 7)) is 58 in float32, so the last bin sees one cell more; 56 in 7 does not."""
    ramp = torch.arange(100.0).view(1, 1, 1, 100)
    rois = torch.tensor([[0.0, 0.0, 0.0, 56.0, 0.0], [0.0, 0.0, 0.0, 55.0, 0.0]])
    with running(kernel):
        assert roi_max_pool(ramp, rois, 1.0)[:, 0, 0, -1].tolist() == [57, 55]
        assert roi_max_pool(ramp, rois.double(), 1.0)[0, 0, 0, -1] == math.ceil(7 * (57 / 7)) - 1


@POOLING_KERNELS
def test_corners_are_clamped_to_2_24_cells(kernel):
    """From 10 - 2^24 to 2^24 in two bins: the middle, in float32 cell 6, is on the map."""
    ramp = torch.arange(10.0).view(1, 1, 1, 10)
    with running(kernel):
        values = roi_max_pool(ramp, torch.tensor([[0.0, 10 - 2.0**24, 0.0, 1e30, 0.0]]), 1.0, 2)
    assert values[0, 0, 0].tolist() == [5, 9]


@POOLING_KERNELS
def test_degenerates(kernel):
    ramp = torch.arange(1.0, 37.0).view(1, 1, 6, 6).requires_grad_()
    outside, inverted = [0.0, 50.0, 50.0, 60.0, 60.0], [0.0, 3.0, 0.0, 2.9, 5.0]
    huge, point = [0.0, -3e38, -3e38, 3e38, 3e38], [0.0, 2.0, 3.0, 2.0, 3.0]
    with running(kernel):
        zeros = roi_max_pool(ramp, torch.tensor([outside, inverted]), 1.0, 2)
        assert not zeros.any()
        assert not torch.autograd.grad(zeros.sum(), ramp)[0].any()
        assert roi_max_pool(ramp, torch.tensor([huge]), 1.0, 1).item() == 36
        assert (roi_max_pool(ramp, torch.tensor([point]), 1.0, 2) == 21).all()  # one cell in every bin
        nothing = torch.full((1, 1, 4, 4), -torch.inf)
        nothing[..., ::2] = torch.nan
        assert (roi_max_pool(nothing, torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]]), 1.0, 2) == -torch.inf).all()
        for shape in ((1, 2, 0, 5), (1, 2, 5, 0)):
            assert roi_max_pool(torch.ones(shape), torch.tensor([point]), 1.0, 3).tolist() == [[[[0.0] * 3] * 3] * 2]
        assert roi_max_pool(torch.ones(0, 2, 5, 5), torch.empty(0, 5), 1.0).shape == (0, 2, 7, 7)
        assert roi_max_pool(torch.ones(1, 0, 5, 5), torch.tensor([point]), 1.0).shape == (1, 0, 7, 7)


@POOLING_KERNELS
def test_gradcheck(kernel):
    rng = generator(0)
    features = [torch.randperm(2 * 2 * n * n, generator=rng).double().view(2, 2, n, n) for n in (6, 3)]
    features[0] = features[0].contiguous(memory_format=torch.channels_last)
    rois = torch.tensor([[0, 0, 0, 20, 20], [1, 5, 3, 30, 9], [1, 2, 2, 2, 2], [0, 7, 7, 3, 3]]).double()
    levels = torch.tensor([0, 1, 0, 1])
    for feature in features:
        feature.requires_grad_()
    with running(kernel):
        assert torch.autograd.gradcheck(
            lambda *maps: multiscale_roi_max_pool(maps, rois, levels, (0.25, 0.125), 2), features
        )


@pytest.mark.parametrize("kernel", native_kernels("roi_max_pool"))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_same_bits_for_any_number_of_threads(kernel, dtype, memory_format):
    """On maps of several tiles, and channels that fill no whole block of 16, 64 or 128."""
    rng = generator(3)
    feature = torch.randn(2, 149, 37, 70, generator=rng).to(dtype).contiguous(memory_format=memory_format)
    corners = torch.rand(40, 2, 2, generator=rng) * torch.tensor([280.0, 150.0])
    rois = torch.cat((torch.randint(2, (40, 1), generator=rng), corners.amin(1), corners.amax(1)), dim=1)
    upstream = torch.randn(40, 149, 7, 7, generator=rng).to(dtype)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            feature = feature.detach().requires_grad_()
            with running(kernel):
                values = roi_max_pool(feature, rois, 0.25)
            results.append((values.detach(), *torch.autograd.grad(values, feature, upstream)))
    finally:
        torch.set_num_threads(threads)
    for values, gradient in results:
        assert torch.equal(values, results[0][0]) and torch.equal(gradient, results[0][1])
        assert gradient.is_contiguous(memory_format=memory_format)


@BUILT
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 150])
def test_every_version_gives_the_same_bits(dtype, memory_format, channels):
    """Values, arg-max and gradients, added up in the same order: on both sides of the kernels' blocks of channels, on
    maps of several tiles, with bins that lie across tiles or hold more than 128 cells."""
    rng = generator(channels)
    features = [torch.randn(2, channels, *size, generator=rng) for size in ((50, 150), (3, 2))]
    features = [feature.to(dtype).contiguous(memory_format=memory_format).requires_grad_() for feature in features]
    corners = torch.rand(24, 2, 2, generator=rng) * torch.tensor([160.0, 60.0]) - 5
    corners[:4] = torch.tensor([[-10.0, -10.0], [170.0, 70.0]])  # all of the map: bins of 22 x 8 cells
    rois = torch.cat((torch.randint(2, (24, 1), generator=rng), corners.amin(1), corners.amax(1)), dim=1)
    levels = (torch.arange(24) % 5 == 4).long()
    upstream = torch.randn(24, channels, 7, 7, generator=rng).to(dtype)
    results = []
    for version in versions("roi_max_pool"):
        arguments = features, rois, levels, [1.0, 0.0625], 7
        values, argmax = torch.ops.fasterfpn.roi_max_pool(*arguments, True, version)
        with use_backend("native", roi_max_pool=version):
            unrecorded = multiscale_roi_max_pool([feature.detach() for feature in features], *arguments[1:])
        assert torch.equal(values, unrecorded)
        results.append((values, argmax, *torch.autograd.grad(values, features, upstream)))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


@POOLING_KERNELS
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradient_of_any_strides(kernel, memory_format):
    """The gradient of a sum has stride 0; others come transposed."""
    feature = torch.randn(1, 2, 5, 5, generator=generator(0)).contiguous(memory_format=memory_format).requires_grad_()
    with running(kernel):
        values = roi_max_pool(feature, torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]]), 1.0, 2)
    ones = torch.ones(1, 2, 2, 2)
    expected = torch.autograd.grad(values, feature, ones, retain_graph=True)[0]
    expanded = torch.autograd.grad(values, feature, ones[:1, :1, :1, :1].expand(1, 2, 2, 2), retain_graph=True)[0]
    assert torch.equal(expanded, expected)
    upstream = torch.randn(1, 2, 2, 2, generator=generator(1))
    expected = torch.autograd.grad(values, feature, upstream, retain_graph=True)[0]
    turned = upstream.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    assert torch.equal(torch.autograd.grad(values, feature, turned)[0], expected)


@POOLING_KERNELS
def test_a_cell_gets_the_sum_of_all_that_chose_it(kernel):
    """Of a tie, in one window and across overlapping ones, the first in row-major order; nothing is lost."""
    feature = torch.zeros(1, 1, 4, 4, requires_grad=True)
    rois = torch.tensor([[0.0, 1.0, 1.0, 3.0, 3.0]]).expand(5, 5)
    with running(kernel):
        values = roi_max_pool(feature, rois, 1.0, 2)  # 3 cells in 2 bins: both span 2, and share the middle
    gradient = torch.autograd.grad(values.sum(), feature)[0][0, 0]
    assert gradient[1:3, 1:3].tolist() == [[5, 5], [5, 5]]
    assert gradient.sum() == 20


@POOLING_KERNELS
def test_nothing_to_pool_gives_a_gradient_of_zeros(kernel):
    features = [torch.ones(2, 3, n, 2 * n, requires_grad=True) for n in (0, 3)]
    with running(kernel):
        values = multiscale_roi_max_pool(features, torch.empty(0, 5), torch.empty(0).long(), [1.0, 1.0], 2)
    gradients = torch.autograd.grad(values.sum(), features, allow_unused=kernel == "reference")
    for feature, gradient in zip(features, gradients, strict=True):
        assert gradient is None or (gradient.shape == feature.shape and not gradient.any())


def huge_map(side):
    """A map of side x side cells, all of them one number in memory."""
    return torch.ones(1, 1, 1, 1).expand(1, 1, side, side)


@POOLING_KERNELS
def test_more_cells_than_int32_counts(kernel):
    """46,341^2 cells: the arg-max is int64, and the last cell is reached."""
    side = 46341
    rois = torch.tensor([[0.0, side, side, side, side], [0.0, side - 1, side - 1, side - 1, side - 1]])
    values, argmax = pool(kernel, ([huge_map(side)], rois, torch.zeros(2).long(), [1.0], 1))
    assert values.flatten().tolist() == [0, 1]
    assert argmax.flatten().tolist() == [-1, side * side - 1]
    assert argmax.dtype == torch.int64


@BUILT
@pytest.mark.parametrize(
    "size, dtype", [((181, 181), torch.int16), ((128, 256), torch.int32), ((7, 4681), torch.int16)]
)
def test_argmax_is_as_small_as_the_maps_allow(size, dtype):
    """181^2 = 32,761 and 7 x 4681 = 32,767 are int16's, 2^15 is not; the last cell is named rightly all the same."""
    feature = torch.ones(1, 1, 1, 1).expand(1, 1, *size)
    last = torch.tensor([[0.0, size[1] - 1, size[0] - 1, size[1] - 1, size[0] - 1]])
    for features in ([feature], [feature, torch.ones(1, 1, 2, 2)]):
        _, argmax = torch.ops.fasterfpn.roi_max_pool(
            features, last, torch.zeros(1).long(), [1.0] * len(features), 1, True, 0
        )
        assert argmax.dtype == dtype and argmax.item() == size[0] * size[1] - 1
