"""Eq. 2 against exact rational arithmetic, most of all at its boundaries, where a logarithm would round."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.geometry import assign_levels
from fasterfpn.laws.assign_levels import exact_level


def levels(sides, dtype=torch.float32, **options):
    w, h = torch.tensor(sides, dtype=dtype).reshape(-1, 2).unbind(-1)
    return assign_levels(torch.stack((torch.zeros_like(w), torch.zeros_like(h), w, h), dim=-1), **options).tolist()


def neighbours(value):
    """A float32 side and the float32 numbers just below and above it."""
    one = np.float32(value)
    return [float(np.nextafter(one, np.float32(0))), float(one), float(np.nextafter(one, np.float32(np.inf)))]


boundary_side = st.sampled_from([side for s in (56, 112, 224, 448, 896) for side in neighbours(s)])
any_side = st.one_of(boundary_side, st.floats(0, 5000, width=32), st.integers(-3, 1000).map(float))


@given(st.lists(st.tuples(any_side, any_side), min_size=1, max_size=8))
def test_levels_are_exact(sides):
    assert levels(sides) == [exact_level(w, h) for w, h in sides]


@given(st.integers(1, 2000), st.sampled_from([112, 224, 448]), st.integers(-1, 1))
def test_levels_are_exact_for_long_boxes_of_boundary_area(w, side, step):
    """A w x h box whose area is within a rounding of 112^2, 224^2 or 448^2."""
    h = np.float32(side * side / w)
    h = float(h if step == 0 else np.nextafter(h, np.float32(step * np.inf)))
    assert levels([(w, h)]) == [exact_level(w, h)]


@given(
    st.floats(1, 2000, width=32),
    st.floats(1, 2000, width=32),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([32, 56, 100, 224, 1000]),
)
def test_range_and_canonical_size_are_configuration(w, h, k_min, more, canonical_size):
    options = dict(k_min=k_min, k_max=k_min + more, canonical_size=canonical_size)
    assert levels([(w, h)], **options) == [exact_level(w, h, **options)]


@given(st.floats(1, 2000, width=32), st.floats(1, 2000, width=32), st.sampled_from([0.25, 0.5, 2, 4]))
def test_scaling_boxes_and_canonical_size_together_changes_nothing(w, h, scale):
    assert levels([(w, h)]) == levels([(w * scale, h * scale)], canonical_size=224 * scale)


def test_the_boundaries_by_hand():
    assert levels([(512, 512), (448, 448), (447.99997, 448), (224, 224), (223.99998, 224)]) == [5, 5, 4, 4, 3]
    assert levels([(112, 112), (111.99999, 112), (111, 111), (1, 1), (4000, 4000)]) == [3, 2, 2, 2, 5]
    assert levels([(448, 112), (28, 448), (896, 224)]) == [4, 3, 5]
    below = math.nextafter(224, 0)
    assert levels([(below, below), (224, 224)], torch.float64) == [3, 4]


@pytest.mark.parametrize("k_min", [2, 3])
def test_empty_inverted_and_nan_boxes_go_to_the_lowest_level(k_min):
    nan, inf = math.nan, math.inf
    sides = [(0, 0), (0, 900), (-900, -900), (-900, 900), (nan, 900), (900, nan), (inf, 0)]
    assert levels(sides, k_min=k_min) == [k_min] * len(sides)
    assert levels([(inf, inf)]) == [5]


def test_position_does_not_count_and_the_type_is_int64():
    boxes = torch.tensor([[100.0, 50.0, 324.0, 274.0], [-1000.0, -1000.0, -488.0, -488.0]])
    k = assign_levels(boxes)
    assert k.dtype == torch.int64 and k.tolist() == [4, 5]
    assert assign_levels(torch.zeros(0, 4)).shape == (0,)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match=r"^k_min "):
        assign_levels(torch.zeros(1, 4), k_min=5, k_max=2)
    with pytest.raises(ValueError, match=r"^canonical_size "):
        assign_levels(torch.zeros(1, 4), canonical_size=0)
    with pytest.raises(ValueError, match=r"^boxes "):
        assign_levels(torch.zeros(1, 5))
