"""Laws of eq. 1: the box that lies at four deltas from an anchor."""

import math

import torch
from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.encode import deltas as encoded
from fasterfpn.laws.inputs import proper_box, random_boxes, tensor
from fasterfpn.laws.law import expect, law

LIMIT = 1000 / 16
anchor_box = proper_box(40, 20)
quarter = st.integers(-8, 8).map(lambda n: n / 4)
usual = st.tuples(quarter, quarter, quarter, quarter)


def decoded(deltas, anchor):
    """Eq. 1 with the clamp, one box."""
    dx, dy, dw, dh = deltas
    aw, ah = anchor[2] - anchor[0], anchor[3] - anchor[1]
    x, y = anchor[0] + aw / 2 + aw * dx, anchor[1] + ah / 2 + ah * dy
    w, h = aw * min(math.exp(dw), LIMIT), ah * min(math.exp(dh), LIMIT)
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


@law(anchor=anchor_box)
def zero_is_the_anchor(decode_boxes, anchor):
    """Deltas of 0 give the anchor."""
    expect(decode_boxes(torch.zeros(1, 4), tensor([anchor])), [anchor])


@law(anchor=anchor_box, dx=quarter, dy=quarter)
def moves_in_sides_of_the_anchor(decode_boxes, anchor, dx, dy):
    """dx = 1 moves the box by one width of its anchor, dy = 1 by one height."""
    x1, y1, x2, y2 = anchor
    right, down = dx * (x2 - x1), dy * (y2 - y1)
    expect(
        decode_boxes(torch.tensor([[dx, dy, 0.0, 0.0]]), tensor([anchor])),
        [[x1 + right, y1 + down, x2 + right, y2 + down]],
    )


@law(
    anchor=anchor_box,
    dw=quarter,
    dh=quarter,
)
def grows_about_the_centre(decode_boxes, anchor, dw, dh):
    """dw and dh scale the sides by exp(dw) and exp(dh); the centre stays where it is."""
    expect(decode_boxes(torch.tensor([[0.0, 0.0, dw, dh]]), tensor([anchor])), [decoded((0, 0, dw, dh), anchor)])


@law(
    anchor=anchor_box,
    dw=st.integers(-8, 200),
    dh=st.integers(-8, 200),
)
def clamped_above(decode_boxes, anchor, dw, dh):
    """No side becomes longer than 1000 / 16 = 62.5 times the anchor's: dw and dh are cut at log(62.5), above only."""
    wanted = [decoded((0, 0, min(dw, 5), min(dh, 5)), anchor)]
    expect(decode_boxes(torch.tensor([[0.0, 0.0, float(dw), float(dh)]]), tensor([anchor])), wanted)


@law(box=anchor_box, anchor=anchor_box)
def inverts_encoding(decode_boxes, box, anchor):
    """Decoding what eq. 4 encoded gives the box back."""
    expect(decode_boxes(torch.tensor([encoded(box, anchor)]), tensor([anchor])), [box], tolerance=1e-3)


@law(
    pairs=st.lists(st.tuples(usual, anchor_box), max_size=3),
)
def equation_1(decode_boxes, pairs):
    """The boxes are those of eq. 1, row by row, (N, 4) for N pairs, N = 0 too."""
    deltas, anchors = (tensor([pair[side] for pair in pairs]) for side in (0, 1))
    expect(decode_boxes(deltas, anchors), tensor([decoded(*pair) for pair in pairs]))


reference = geometry.decode_boxes


def typical():
    """2000 deltas and anchors."""
    return torch.randn(2000, 4, generator=torch.Generator().manual_seed(0)) / 4, random_boxes(2000)
