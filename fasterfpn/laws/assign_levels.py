"""Laws of eq. 2: which level pools a box."""

from fractions import Fraction

import torch
from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.inputs import empty_box, random_boxes, tensor
from fasterfpn.laws.law import expect, law

side = st.one_of(st.sampled_from([28, 56, 112, 224, 448, 896]), st.integers(1, 900))
sizes = st.lists(st.tuples(side, side), min_size=1, max_size=3)


def exact_level(w, h, k_min=2, k_max=5, canonical_size=224):
    """floor(4 + log2(sqrt(w h) / s)) without a logarithm: the largest k with 4^(k - 4) s^2 <= w h."""
    area = Fraction(w) * Fraction(h)
    if w <= 0 or h <= 0:
        return k_min
    k = k_max
    while k > k_min and Fraction(4) ** (k - 4) * Fraction(canonical_size) ** 2 > area:
        k -= 1
    return k


def at_origin(sizes):
    """Boxes of these widths and heights."""
    return tensor([(0, 0, w, h) for w, h in sizes])


@law(
    size=st.sampled_from([112, 224, 448]),
    less=st.integers(0, 2),
)
def the_bounds_belong_to_the_upper_level(assign_levels, size, less):
    """A square of 224 goes to level 4, of 112 to 3, of 448 to 5: the bound belongs to the upper level."""
    expect(assign_levels(at_origin([(size - less, size - less)])), [exact_level(size - less, size - less)])


@law(w=side, h=side)
def by_area_alone(assign_levels, w, h):
    """What counts is the area: a long thin box goes where the square of its area goes."""
    expect(assign_levels(at_origin([(w, h), (h, w)])), [exact_level(w, h)] * 2)


@law(
    size=st.sampled_from([1, 5, 60, 900, 4000]),
    k_min=st.integers(2, 3),
    k_max=st.integers(4, 5),
)
def clamped_to_the_range(assign_levels, size, k_min, k_max):
    """No box leaves the range k_min..k_max: tiny ones go to k_min, huge ones to k_max."""
    expect(assign_levels(at_origin([(size, size)]), k_min, k_max), [exact_level(size, size, k_min, k_max)])


@law(box=empty_box(400, 400))
def empty_boxes_go_to_the_lowest(assign_levels, box):
    """A box without area (x2 <= x1 or y2 <= y1) goes to k_min."""
    expect(assign_levels(tensor([box])), [2])


@law(sizes=sizes, right=st.integers(-500, 500), down=st.integers(-500, 500))
def position_does_not_count(assign_levels, sizes, right, down):
    """Where the box lies does not count."""
    moved = at_origin(sizes) + torch.tensor([right, down, right, down])
    expect(assign_levels(moved), [exact_level(w, h) for w, h in sizes])


@law(
    sizes=st.lists(st.tuples(side, side), max_size=3),
    canonical_size=st.sampled_from([56, 112, 224, 448]),
)
def equation_2(assign_levels, sizes, canonical_size):
    """The level is floor(4 + log2(sqrt(w h) / canonical_size)), within k_min..k_max, for each of N boxes, N = 0 too."""
    found = assign_levels(at_origin(sizes), canonical_size=canonical_size)
    expect(found, [exact_level(w, h, canonical_size=canonical_size) for w, h in sizes])


reference = geometry.assign_levels


def typical():
    """1000 proposals."""
    return (random_boxes(1000),)
