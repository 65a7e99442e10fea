"""Laws of eq. 4 and eq. 1: decoding inverts encoding, up to the size ratio 62.5 at which decoding is clamped."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.geometry import decode_boxes, encode_boxes

LIMIT = 1000 / 16
position = st.floats(-2000, 2000)
side = st.floats(0.25, 2000)
ratio = st.one_of(st.floats(1 / LIMIT, LIMIT), st.sampled_from([1 / LIMIT, 1.0, math.nextafter(LIMIT, 0), LIMIT]))
too_large = st.one_of(st.floats(LIMIT, 1e6, exclude_min=True), st.just(math.nextafter(LIMIT, 1e6)))
weights = st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (3.0, 0.5, 2.0, 7.0)])
delta = st.floats(-4, 4)


def centered(x, y, w, h):
    return torch.tensor([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], dtype=torch.float64)


@given(position, position, side, side, position, position, ratio, ratio, weights)
def test_decoding_inverts_encoding(ax, ay, aw, ah, gx, gy, rw, rh, weights):
    anchors, boxes = centered(ax, ay, aw, ah), centered(gx, gy, aw * rw, ah * rh)
    back = decode_boxes(encode_boxes(boxes, anchors, weights), anchors, weights)
    torch.testing.assert_close(back, boxes, rtol=1e-9, atol=1e-7)


@given(position, position, side, side, delta, delta, delta, delta, weights)
def test_encoding_inverts_decoding(ax, ay, aw, ah, dx, dy, dw, dh, weights):
    anchors = centered(ax, ay, aw, ah)
    deltas = torch.tensor([[dx, dy, dw, dh]], dtype=torch.float64)
    torch.testing.assert_close(
        encode_boxes(decode_boxes(deltas, anchors, weights), anchors, weights), deltas, rtol=1e-8, atol=1e-6
    )


@given(side, side, position, position, too_large, ratio)
def test_beyond_the_clamp_the_side_is_62_and_a_half_anchors(aw, ah, gx, gy, rw, rh):
    anchors, boxes = centered(0, 0, aw, ah), centered(gx, gy, aw * rw, ah * rh)
    back = decode_boxes(encode_boxes(boxes, anchors), anchors)
    torch.testing.assert_close(back, centered(gx, gy, aw * LIMIT, ah * rh), rtol=1e-9, atol=1e-7)
    across = decode_boxes(encode_boxes(centered(gx, gy, aw * rh, ah * rw), anchors), anchors)
    torch.testing.assert_close(across, centered(gx, gy, aw * rh, ah * LIMIT), rtol=1e-9, atol=1e-7)


@given(position, position, side, side, position, position, side, side)
def test_deltas_are_those_of_equation_4(ax, ay, aw, ah, gx, gy, gw, gh):
    deltas = encode_boxes(centered(gx, gy, gw, gh), centered(ax, ay, aw, ah))
    by_hand = [(gx - ax) / aw, (gy - ay) / ah, math.log(gw / aw), math.log(gh / ah)]
    torch.testing.assert_close(deltas, torch.tensor([by_hand], dtype=torch.float64), rtol=1e-7, atol=1e-7)


@given(position, position, side, side, position, position, side, side, position, position)
def test_deltas_do_not_see_where_the_image_lies(ax, ay, aw, ah, gx, gy, gw, gh, dx, dy):
    shift = torch.tensor([dx, dy, dx, dy], dtype=torch.float64)
    anchors, boxes = centered(ax, ay, aw, ah), centered(gx, gy, gw, gh)
    torch.testing.assert_close(
        encode_boxes(boxes + shift, anchors + shift), encode_boxes(boxes, anchors), rtol=1e-6, atol=1e-7
    )


def test_by_hand():
    anchor = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    box = torch.tensor([[10.0, 0.0, 30.0, 40.0]])  # centre (20, 20), twice as large
    deltas = torch.tensor([[1.5, 0.5, math.log(2), math.log(2)]])
    torch.testing.assert_close(encode_boxes(box, anchor), deltas)
    torch.testing.assert_close(decode_boxes(deltas, anchor), box)
    torch.testing.assert_close(decode_boxes(torch.zeros(1, 4), anchor), anchor)


def test_class_specific_deltas_broadcast():
    anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [4.0, 4.0, 20.0, 12.0]])
    deltas = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    together = decode_boxes(deltas, anchors[:, None])
    assert together.shape == (2, 5, 4)
    for c in range(5):
        assert torch.equal(together[:, c], decode_boxes(deltas[:, c], anchors))


def test_no_boxes_and_mixed_types():
    assert decode_boxes(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4)
    anchors = torch.tensor([[0.0, 0.0, 300.0, 500.0]])
    deltas = torch.tensor([[0.1, 0.2, 0.3, 9.0]], dtype=torch.bfloat16)  # as autocast hands them over
    assert torch.equal(decode_boxes(deltas, anchors), decode_boxes(deltas.float(), anchors))


def test_gradient_passes_both_ways():
    anchors = centered(3, 4, 10, 20)
    deltas = torch.tensor([[0.1, -0.2, 0.3, 0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: decode_boxes(d, anchors, (10, 10, 5, 5)), deltas)
    boxes = centered(5, 6, 7, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda b: encode_boxes(b, anchors), boxes)


@pytest.mark.parametrize("name, arguments", [("boxes", ((2, 5), (2, 4))), ("anchors", ((2, 4), (2, 3)))])
def test_a_wrong_shape_names_the_argument(name, arguments):
    first, second = (torch.ones(shape) for shape in arguments)
    with pytest.raises(ValueError, match=f"^{name}"):
        encode_boxes(first, second)
    with pytest.raises(ValueError, match=r"^deltas|^anchors"):
        decode_boxes(first, second)
