"""Laws of area, IoU and clipping. Whole-number coordinates make float32 exact, so that laws hold to the bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.geometry import box_area, box_iou, clip_boxes, large_enough
from fasterfpn.laws.inputs import exact_iou, tensor

whole = st.integers(-40, 40)
any_box = st.tuples(whole, whole, whole, whole)  # empty and inverted ones too
proper_box = st.tuples(whole, whole, st.integers(1, 40), st.integers(1, 40)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
number = st.floats(-1e4, 1e4, width=32)
extent = st.floats(0.125, 1e4, width=32)
float_box = st.tuples(number, number, extent, extent).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(st.lists(any_box, max_size=5), st.lists(any_box, max_size=5))
def test_iou_is_the_rational_number_rounded_once(first, second):
    iou = box_iou(tensor(first, torch.float64), tensor(second, torch.float64))
    assert iou.shape == (len(first), len(second))
    assert iou.tolist() == [[float(exact_iou(a, b)) for b in second] for a in first]


@given(st.lists(float_box, min_size=1, max_size=6), st.lists(float_box, min_size=1, max_size=6))
def test_iou_is_symmetric_and_in_the_unit_interval(first, second):
    iou = box_iou(tensor(first), tensor(second))
    assert torch.equal(iou, box_iou(tensor(second), tensor(first)).T)
    assert iou.min() >= 0 and iou.max() <= 1


@given(st.lists(float_box, min_size=1, max_size=6))
def test_iou_of_a_box_with_itself_is_exactly_one(boxes):
    boxes = tensor(boxes)
    boxes = boxes[large_enough(boxes, 1e-3)]  # far from the origin, float32 rounds small ones to nothing
    assert torch.equal(box_iou(boxes, boxes).diagonal(), torch.ones(len(boxes)))


@given(st.lists(any_box, min_size=1, max_size=6), whole, whole, st.sampled_from([0.125, 0.5, 2.0, 64.0]))
def test_iou_survives_shift_and_scale(boxes, dx, dy, scale):
    moved = (tensor(boxes) + torch.tensor([dx, dy, dx, dy])) * scale  # a power of two: no rounding
    assert torch.equal(box_iou(moved, moved), box_iou(tensor(boxes), tensor(boxes)))


@given(st.lists(proper_box, min_size=1, max_size=5), whole, whole, st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_an_empty_box_has_iou_zero_with_everything(boxes, x, y, w, h, flat):
    w = 0 if flat else w
    empty = tensor([(x, y, x - w, y + h), (x, y, x + h, y - w), (x, y, x - w, y - h)])
    everything = torch.cat((empty, tensor(boxes)))
    assert not box_iou(empty, everything).any()
    assert not box_iou(everything, empty).any()
    assert (box_area(empty) == 0).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_iou_is_never_nan(bad):
    boxes = tensor([(0, 0, bad, 1), (0, -bad, 1, bad), (-bad, -bad, bad, bad), (0, 0, 1, 1), (0, 0, 0, 0)])
    iou = box_iou(boxes, boxes)
    assert iou.isfinite().all()
    assert iou[3, 3] == 1


def test_area_and_iou_by_hand():
    assert box_area(tensor([(1, 2, 4, 7), (0.5, 0.5, 1, 1)])).tolist() == [15, 0.25]
    # two 4 x 4 boxes, shifted by (2, 2): 4 / (16 + 16 - 4)
    assert box_iou(tensor((0, 0, 4, 4)), tensor((2, 2, 6, 6))).item() == pytest.approx(1 / 7)
    assert box_iou(tensor((0, 0, 1, 1)), tensor((1, 0, 2, 1))).item() == 0  # edges that touch


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_float32(dtype):
    boxes = tensor([(0, 0, 1000, 900), (0, 0, 500, 900), (3, 5, 1000, 1000)], dtype)
    assert torch.equal(box_area(boxes), box_area(boxes.float()))  # 900,000 is not a float16
    assert torch.equal(box_iou(boxes, boxes), box_iou(boxes.float(), boxes.float()))


@given(st.lists(any_box, max_size=5), st.integers(0, 30), st.integers(0, 30))
def test_clipping_is_idempotent_and_lands_in_the_image(boxes, height, width):
    boxes = tensor(boxes)
    clipped = clip_boxes(boxes, (height, width))
    assert torch.equal(clip_boxes(clipped, (height, width)), clipped)
    for (x1, y1, x2, y2), got in zip(boxes.tolist(), clipped.tolist(), strict=True):
        assert got == [sorted((0, v, top))[1] for v, top in ((x1, width), (y1, height), (x2, width), (y2, height))]


@given(st.lists(any_box, min_size=1, max_size=5))
def test_clipping_leaves_its_argument_and_boxes_inside_alone(boxes):
    boxes = tensor(boxes)
    before = boxes.clone()
    clip_boxes(boxes, (7, 9))
    assert torch.equal(boxes, before)
    assert torch.equal(clip_boxes(boxes + 40, (80, 80)), boxes + 40)


def test_large_enough_needs_both_sides_and_keeps_the_bound():
    boxes = tensor([(0, 0, 2, 2), (0, 0, 3, 1.5), (0, 0, 1.5, 3), (5, 5, 2, 9), (0, 0, float("nan"), 9)])
    assert large_enough(boxes, 2).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("shape", [(4, 5), (3,), (2, 3, 4)])
def test_a_wrong_shape_names_the_argument(shape):
    with pytest.raises(ValueError, match="boxes1"):
        box_iou(torch.zeros(shape), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="boxes2"):
        box_iou(torch.zeros(1, 4), torch.zeros(shape))


@pytest.mark.parametrize("function", [box_area, lambda b: clip_boxes(b, (1, 1)), lambda b: large_enough(b, 1)])
def test_whole_number_types_and_other_widths_are_refused(function):
    with pytest.raises(ValueError, match="boxes must be of a floating-point type"):
        function(torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="boxes must have shape"):
        function(torch.zeros(1, 5))
