"""Laws of the intersection over union."""

import torch
from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.inputs import boxes, empty_box, exact_iou, proper_box, random_boxes, tensor
from fasterfpn.laws.law import expect, expect_that, law, values

any_box = st.one_of(proper_box(), empty_box())


@law(n=st.integers(0, 3), m=st.integers(0, 3))
def one_number_for_each_pair(box_iou, n, m):
    """The IoU of N boxes with M boxes has shape (N, M), without boxes too."""
    first, second = tensor([(0, 0, 2, 2)] * n), tensor([(1, 1, 3, 4)] * m)
    shape = tuple(values(box_iou(first, second)).shape)
    expect_that(shape == (n, m), f"the result has shape {(n, m)}, not {shape}")


@law(box=proper_box())
def one_with_itself(box_iou, box):
    """The IoU of a box with itself is 1."""
    expect(box_iou(tensor([box]), tensor([box])), [[1.0]])


@law(box=proper_box(), gap=st.integers(0, 5), way=st.integers(0, 2))
def zero_apart(box_iou, box, gap, way):
    """Boxes that lie apart, or only touch, have IoU 0."""
    x1, y1, x2, y2 = box
    right = x2 - x1 + gap if way != 1 else 0
    down = y2 - y1 + gap if way != 0 else 0
    expect(box_iou(tensor([box]), tensor([(x1 + right, y1 + down, x2 + right, y2 + down)])), [[0.0]])


@law(
    empty=empty_box(),
    other=any_box,
)
def zero_with_an_empty_box(box_iou, empty, other):
    """A box without area (x2 <= x1 or y2 <= y1) has IoU 0 with everything, itself too; never NaN."""
    expect(box_iou(tensor([empty]), tensor([empty, other])), [[0.0, 0.0]])
    expect(box_iou(tensor([other]), tensor([empty])), [[0.0]])


@law(first=boxes(any_box, 1), second=boxes(any_box, 1))
def symmetric(box_iou, first, second):
    """The order of the two boxes does not matter."""
    there, back = box_iou(tensor(first), tensor(second)), box_iou(tensor(second), tensor(first))
    expect(back, values(there).T, "the second result, turned over,")
    result = values(there)
    expect_that(bool(((result >= 0) & (result <= 1)).all()), "every IoU lies in 0..1")


@law(
    first=boxes(any_box, 1, 2),
    second=boxes(any_box, 1, 2),
    shift=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    scale=st.sampled_from([0.125, 0.5, 2.0, 64.0]),
)
def shift_and_scale(box_iou, first, second, shift, scale):
    """Shifting both boxes, or scaling both, leaves the IoU as it is."""
    before = box_iou(tensor(first), tensor(second))
    moved = [(tensor(some) + torch.tensor(shift * 2)) * scale for some in (first, second)]
    expect(box_iou(*moved), before, "the second result")


@law(
    boxes1=boxes(any_box),
    boxes2=boxes(any_box),
)
def shared_over_covered(box_iou, boxes1, boxes2):
    """The IoU is the area that both boxes share, over the area that they cover together."""
    wanted = torch.tensor([[float(exact_iou(a, b)) for b in boxes2] for a in boxes1]).reshape(len(boxes1), len(boxes2))
    expect(box_iou(tensor(boxes1), tensor(boxes2)), wanted)


reference = geometry.box_iou


def typical():
    """1000 anchors and 10 boxes."""
    return random_boxes(1000), random_boxes(10)
