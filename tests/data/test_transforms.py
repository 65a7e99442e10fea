"""Laws of flipping."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.data.transforms import flip


@st.composite
def scenes(draw):
    """An image (3, H, W) of noise and boxes at whole pixels inside it, some of them up to its border."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(draw(st.integers(0, 999))))
    boxes = []
    for _ in range(draw(st.integers(0, 3))):
        x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append([x1, y1, draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))])
    return image, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def paint(image, boxes):
    """Each box filled with its number."""
    image = image.clone()
    for value, (x1, y1, x2, y2) in enumerate(boxes.int().tolist(), start=2):
        image[:, y1:y2, x1:x2] = value
    return image


@given(scenes(), st.booleans(), st.booleans())
def test_flips_commute_with_drawing(scene, horizontal, vertical):
    image, boxes = scene
    flipped, flipped_boxes = flip(image, boxes, horizontal, vertical)
    assert torch.equal(flip(paint(image, boxes), boxes, horizontal, vertical)[0], paint(flipped, flipped_boxes))


@given(scenes(), st.booleans(), st.booleans())
def test_a_flip_is_its_own_inverse_and_leaves_its_arguments(scene, horizontal, vertical):
    image, boxes = scene
    before = image.clone(), boxes.clone()
    again = flip(*flip(image, boxes, horizontal, vertical), horizontal, vertical)
    for result, argument, expected in zip(again, scene, before, strict=True):
        assert torch.equal(result, expected) and torch.equal(argument, expected)


@given(scenes())
def test_both_flips_are_one_after_the_other_in_either_order(scene):
    both = flip(*scene, True, True)
    for first, second in (((True, False), (False, True)), ((False, True), (True, False))):
        assert all(torch.equal(a, b) for a, b in zip(flip(*flip(*scene, *first), *second), both, strict=True))


@given(scenes(), st.booleans(), st.booleans())
def test_boxes_stay_in_order_inside_and_of_their_size(scene, horizontal, vertical):
    image, boxes = scene
    _, flipped = flip(image, boxes, horizontal, vertical)
    assert torch.equal(flipped[:, 2:] - flipped[:, :2], boxes[:, 2:] - boxes[:, :2])
    assert (flipped >= 0).all() and (flipped[:, 2] <= image.shape[2]).all() and (flipped[:, 3] <= image.shape[1]).all()
