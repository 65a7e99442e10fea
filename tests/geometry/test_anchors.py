"""Laws of the anchors: areas, shapes, number, order and centres, each from its definition in plain Python."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.geometry import Anchors, box_area, cell_anchors, grid_anchors, pyramid_anchors

areas = st.floats(1, 1e6)
ratios = st.lists(st.floats(0.05, 20), min_size=1, max_size=4)
size = st.integers(1, 150)


@given(areas, ratios)
def test_cell_anchors_have_the_area_and_ratio_they_claim_and_lie_around_the_origin(area, ratios):
    anchors = cell_anchors(area, ratios, dtype=torch.float64)
    assert anchors.shape == (len(ratios), 4)
    x1, y1, x2, y2 = anchors.unbind(-1)
    torch.testing.assert_close(box_area(anchors), torch.full((len(ratios),), area, dtype=torch.float64))
    torch.testing.assert_close((y2 - y1) / (x2 - x1), torch.tensor(ratios, dtype=torch.float64))
    assert torch.equal(x1, -x2) and torch.equal(y1, -y2)


@given(areas, ratios)
def test_rounding_gives_the_nearest_whole_pixels(area, ratios):
    exact = cell_anchors(area, ratios, dtype=torch.float64)
    rounded = cell_anchors(area, ratios, dtype=torch.float64, rounded=True)
    assert torch.equal(rounded, rounded.trunc())
    assert (rounded - exact).abs().max() <= 0.5


@given(size, size)
def test_pyramid_counts_are_ceil(height, width):
    strides = (4, 8, 16, 32, 64)
    levels = pyramid_anchors((height, width), strides=strides)
    assert [len(level) for level in levels] == [math.ceil(height / s) * math.ceil(width / s) * 3 for s in strides]


@given(st.integers(0, 5), st.integers(0, 5), st.floats(1, 70), st.floats(1, 70), ratios)
def test_order_is_y_x_ratio_and_each_cell_is_centred_at_its_index_times_the_stride(h, w, sy, sx, ratios):
    cell = cell_anchors(32.0**2, ratios, dtype=torch.float64)
    got = grid_anchors(cell, (h, w), (sy, sx))
    assert got.shape == (h * w * len(ratios), 4) and got.dtype == cell.dtype
    row = 0
    for y in range(h):
        for x in range(w):
            for x1, y1, x2, y2 in cell.tolist():
                assert got[row].tolist() == [x * sx + x1, y * sy + y1, x * sx + x2, y * sy + y2]
                row += 1


def test_exactly_306900_of_15_kinds_on_1280_by_960():
    levels = pyramid_anchors((960, 1280))
    assert sum(len(level) for level in levels) == 306_900
    sizes = {(round(w, 2), round(h, 2)) for a in levels for w, h in (a[:3, 2:] - a[:3, :2]).tolist()}
    assert len(sizes) == 15
    for level, side, stride in zip(levels, (32, 64, 128, 256, 512), (4, 8, 16, 32, 64), strict=True):
        torch.testing.assert_close(box_area(level), torch.full((len(level),), float(side**2)), rtol=1e-4, atol=0)
        w, h = (level[:3, 2:] - level[:3, :2]).unbind(-1)
        torch.testing.assert_close(h / w, torch.tensor([0.5, 1.0, 2.0]))
        centers = (level[:, :2] + level[:, 2:]) / 2
        torch.testing.assert_close(centers[0], torch.zeros(2))
        torch.testing.assert_close(centers[3], torch.tensor([float(stride), 0]))  # x runs before y
        torch.testing.assert_close(centers[-1], torch.tensor([1280.0 - stride, 960.0 - stride]))


def test_type_and_areas_are_the_caller_s():
    levels = pyramid_anchors((64, 64), areas=(100, 400), ratios=(1,), strides=(16, 32), dtype=torch.float64)
    assert [level.dtype for level in levels] == [torch.float64] * 2
    assert levels[0][0].tolist() == [-5, -5, 5, 5] and levels[1][0].tolist() == [-10, -10, 10, 10]
    assert [len(level) for level in levels] == [16, 4]


@pytest.mark.parametrize("area", [0, -1, math.inf, math.nan])
def test_an_impossible_area_is_refused(area):
    with pytest.raises(ValueError, match=r"^area "):
        cell_anchors(area)


@pytest.mark.parametrize("ratios", [(), (1, 0), (-2,), (math.inf,), (math.nan,)])
def test_impossible_ratios_are_refused(ratios):
    with pytest.raises(ValueError, match=r"^ratios "):
        cell_anchors(1024, ratios)


def test_areas_and_strides_must_be_as_many():
    with pytest.raises(ValueError, match=r"^areas and strides"):
        pyramid_anchors((64, 64), areas=(1024,), strides=(4, 8))


def test_areas_must_be_as_many_on_every_level():
    with pytest.raises(ValueError, match=r"^areas must be as many on every level"):
        Anchors(strides=(4, 8), areas=((64.0,), (64.0, 256.0)))


def test_a_single_map_carries_all_areas_in_each_cell():
    anchors = Anchors(strides=(16,), areas=((100.0, 400.0),), ratios=(1.0,))
    (level,) = anchors.of_grids((32, 16), [(2, 1)])
    assert anchors.per_cell == 2
    assert level.tolist() == [[-5, -5, 5, 5], [-10, -10, 10, 10], [-5, 11, 5, 21], [-10, 6, 10, 26]]


def test_measured_strides_are_image_side_over_level_side():
    levels = Anchors(strides_measured=True).of_grids((105, 140), [(10, 20)] * 5)
    centres = (levels[0][:, :2] + levels[0][:, 2:]) / 2
    assert centres[3].tolist() == [7, 0] and centres[-1].tolist() == [19 * 7, 9 * 10]


@pytest.mark.parametrize("measured", [False, True])
def test_an_image_without_pixels_has_no_anchors(measured):
    levels = Anchors(strides_measured=measured).of_grids((0, 0), [(0, 0)] * 5)
    assert [tuple(level.shape) for level in levels] == [(0, 4)] * 5
    assert sum(map(len, pyramid_anchors((0, 0)))) == 0
