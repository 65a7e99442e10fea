"""Laws of eq. 4: a box as four deltas from an anchor."""

import math

import torch
from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.inputs import proper_box, random_boxes, tensor
from fasterfpn.laws.law import expect, law

box, pairs = proper_box(40, 20), st.lists(st.tuples(proper_box(40, 20), proper_box(40, 20)), max_size=3)


def deltas(box, anchor):
    """Eq. 4, one box."""
    gw, gh, aw, ah = box[2] - box[0], box[3] - box[1], anchor[2] - anchor[0], anchor[3] - anchor[1]
    tx = (box[0] + gw / 2 - anchor[0] - aw / 2) / aw
    ty = (box[1] + gh / 2 - anchor[1] - ah / 2) / ah
    return [tx, ty, math.log(gw / aw), math.log(gh / ah)]


@law(anchor=box)
def zero_to_itself(encode_boxes, anchor):
    """From an anchor to itself all deltas are 0."""
    expect(encode_boxes(tensor([anchor]), tensor([anchor])), [[0.0] * 4])


@law(
    anchor=box,
    right=st.integers(-30, 30),
    down=st.integers(-30, 30),
    grow=st.integers(0, 10),
)
def centre_in_sides_of_the_anchor(encode_boxes, anchor, right, down, grow):
    """tx and ty are how far the centre moves, in sides of the anchor (not of the box, not in pixels)."""
    x1, y1, x2, y2 = anchor
    moved = (x1 + right - grow, y1 + down - grow, x2 + right + grow, y2 + down + grow)
    expect(encode_boxes(tensor([moved]), tensor([anchor])), [deltas(moved, anchor)])


@law(
    anchor=box,
    wide=st.sampled_from([1, 2, 4, 8]),
    high=st.sampled_from([1, 2, 4, 8]),
)
def logarithm_of_the_ratio(encode_boxes, anchor, wide, high):
    """tw and th are the natural logarithms of the box's side over the anchor's."""
    x1, y1, x2, y2 = (4 * c for c in anchor)
    side = (x2 - x1) * (wide - 1) // 2, (y2 - y1) * (high - 1) // 2
    grown = (x1 - side[0], y1 - side[1], x2 + side[0], y2 + side[1])
    expect(encode_boxes(tensor([grown]), tensor([(x1, y1, x2, y2)])), [[0.0, 0.0, math.log(wide), math.log(high)]])


@law(
    box=box,
    anchor=box,
    shift=st.tuples(st.integers(-50, 50), st.integers(-50, 50)),
    scale=st.sampled_from([0.25, 0.5, 2.0, 8.0]),
)
def shift_and_scale(encode_boxes, box, anchor, shift, scale):
    """Shifting the box and the anchor together, or scaling both, leaves the deltas as they are."""
    before = encode_boxes(tensor([box]), tensor([anchor]))
    moved = [(tensor([one]) + torch.tensor(shift * 2)) * scale for one in (box, anchor)]
    expect(encode_boxes(*moved), before, "the second result")


@law(pairs=pairs)
def equation_4(encode_boxes, pairs):
    """The deltas are those of eq. 4, row by row, (N, 4) for N pairs, N = 0 too."""
    boxes, anchors = (tensor([pair[side] for pair in pairs]) for side in (0, 1))
    expect(encode_boxes(boxes, anchors), tensor([deltas(*pair) for pair in pairs]))


reference = geometry.encode_boxes


def typical():
    """2000 boxes and as many anchors."""
    return random_boxes(2000), random_boxes(2000, seed=1)
