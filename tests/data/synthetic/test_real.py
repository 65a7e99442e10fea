"""The real setting stands in for the paper's data set: counts, box sizes, defects that fill their boxes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasterfpn.data.synthetic.boxes import IMAGES_OF_ONE, IMAGES_OF_TWO, SIZES
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.defects import KINDS, paint
from fasterfpn.data.synthetic.layout import Layout, extent, first_of_each_kind, lay_out, loosen
from fasterfpn.data.synthetic.scene import Canvas

seeds, indices = st.integers(0, 2**40), st.integers(0, 10**6)
REAL = {  # quantiles at 5/25/50/75/95 % of width and height in the data set, share of boxes across the whole width
    "non-conductive": ((148, 626, 2559, 2559, 2559), (59, 191, 349, 442, 550), 0.67),
    "scratch": ((92, 388, 1034, 1822, 2559), (76, 159, 310, 455, 958), 0.14),
    "corner leak": ((2559,) * 5, (100, 122, 132, 150, 213), 0.98),
    "orange peel": ((2559,) * 5, (72, 122, 477, 818, 915), 1.00),
    "leakage": ((720, 2559, 2559, 2559, 2559), (80, 100, 125, 147, 333), 0.85),
    "jet": ((240, 435, 879, 1321, 2543), (89, 156, 182, 253, 356), 0.10),
    "paint bubble": ((28, 36, 59, 184, 676), (20, 28, 34, 48, 101), 0.04),
    "crater": ((2559,) * 5, (33, 54, 72, 102, 211), 1.00),
    "parti-color": ((2555, 2559, 2559, 2559, 2559), (262, 367, 565, 628, 716), 1.00),
    "dirty point": ((43, 83, 193, 866, 2559), (42, 64, 112, 394, 1503), 0.16),
}


@pytest.fixture(scope="module")
def data_set():
    """The layouts of all 3005 images of seed 0."""
    return [lay_out(0, index) for index in range(3005)]


def test_every_table_has_the_ten_classes():
    assert tuple(KINDS) == tuple(SIZES) == tuple(IMAGES_OF_ONE) == tuple(REAL) == ALUMINIUM_CLASSES


def test_images_of_each_kind_are_as_many_as_in_the_data_set(data_set):
    shown = Counter(tuple(dict.fromkeys(defect.kind for defect in layout.defects)) for layout in data_set)
    alone = {kinds[0]: number for kinds, number in shown.items() if len(kinds) == 1}
    assert alone == IMAGES_OF_ONE and sum(alone.values()) == 2776
    assert sum(number for kinds, number in shown.items() if len(kinds) == 2) == sum(IMAGES_OF_TWO.values()) == 229


@pytest.mark.parametrize("kind", REAL)
def test_boxes_are_of_the_data_sets_sizes(data_set, kind):
    boxes = [extent(layout.profiles[0], d) for layout in data_set for d in layout.defects if d.kind == kind]
    sizes = np.array(boxes)[:, 2:] - np.array(boxes)[:, :2]
    for values, real in zip(sizes.T, REAL[kind], strict=False):
        quantiles = np.percentile(values, (5, 25, 50, 75, 95))
        assert (np.abs(quantiles - real) <= np.maximum(8, 0.2 * np.array(real))).all(), quantiles
    assert abs((sizes[:, 0] > 2550).mean() - REAL[kind][2]) < 0.1


def test_a_balanced_test_part_has_fifty_boxes_of_each_kind():
    for first in (0, 1500):
        layouts = [lay_out(0, index, "balanced") for index in range(first, first + 500)]
        assert min(Counter(d.kind for layout in layouts for d in layout.defects).values()) >= 50


@given(seeds, indices, st.integers(64, 2000), st.integers(64, 2600))
def test_boxes_are_within_the_image(seed, index, height, width):
    layout = lay_out(seed, index)
    boxes = layout.boxes((height, width))
    assert boxes.dtype == np.float32 and boxes.shape == (len(layout.labels()), 4) and len(boxes) >= 1
    assert (boxes == boxes.round()).all() and (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 2).all()
    assert layout == lay_out(seed, index)


@given(seeds, indices, st.floats(0, 2560), st.floats(-500, 2500))
def test_the_profiles_frame_is_invertible(seed, index, x, y):
    for profile in lay_out(seed, index).profiles:
        assert profile.y(x, profile.across(x, y)) == pytest.approx(y)


def seen(layout: Layout, nth: int, size: tuple[int, int]) -> np.ndarray:
    """Where defect `nth` alone changes the picture: x1, y1, x2, y2."""
    alone = replace(layout, defects=layout.defects[nth : nth + 1])
    change = np.abs(paint(alone, size).image - paint(replace(layout, defects=()), size).image).max(0)
    mask = change > 0.08 * change.max()
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("kind", ALUMINIUM_CLASSES)
def test_a_defect_fills_its_box(kind):
    size, found = (480, 640), 0
    for index in range(1000):
        layout = lay_out(5, index)
        if layout.defects[0].kind == kind:
            box, change = layout.boxes(size)[0], seen(layout, 0, size)
            allowed = 2 + 0.04 * np.tile(box[2:] - box[:2], 2)
            assert (np.abs(change - box) <= allowed).all(), (index, box, change)
            found += 1
        if found == 6:
            return
    pytest.fail(f"{found} images show a {kind} first")


@pytest.mark.parametrize("place", [0.5, 1919.5])
def test_brushes_paint_on_the_border_as_inside(place):
    canvas = Canvas(np.zeros((3, 192, 256), np.float32))
    canvas.stroke(np.array([0.0, 2560]), np.array([place, place]), 20, (1, 1, 1), 1.0)
    assert canvas.image[:, 0 if place < 1 else -1].min() > 0.9 and canvas.image[:, 96].max() == 0
    canvas = Canvas(np.zeros((3, 192, 256), np.float32))
    canvas.spot(place, place, (80, 80), (1, 0.5, 0), 1)
    y, x = min(int(place / 10), 191), int(place / 10)
    assert canvas.image[:, y, x] == pytest.approx([1, 0.5, 0]) and (canvas.image > 0).sum() < 2 * 20 * 20


def test_a_small_image_shows_the_scene_of_a_large_one():
    for index in (0, 1):
        layout = lay_out(1, index)
        large, small = paint(layout, (960, 1280)).image, paint(layout, (240, 320)).image
        means = large.reshape(3, 240, 4, 320, 4).mean((2, 4))
        assert np.corrcoef(means.ravel(), small.ravel())[0, 1] > 0.97
        assert np.abs(means - small).mean() < 0.02


@given(seeds, indices)
@settings(max_examples=50)
def test_label_noise_keeps_boxes_valid(seed, index):
    size = (96, 128)
    clean = lay_out(seed, index).boxes(size)
    noisy, kept = loosen(np.random.default_rng(seed), clean, size)
    assert kept.shape == (len(clean),) and len(noisy) == kept.sum() >= 1
    assert (noisy[:, :2] >= 0).all() and (noisy[:, 2:] <= (128, 96)).all() and (noisy[:, 2:] - noisy[:, :2] >= 2).all()


def test_label_noise_loosens_and_drops_boxes():
    pairs = [(lay_out(0, i).boxes((480, 640)), i) for i in range(300)]
    noisy = [loosen(np.random.default_rng(i), boxes, (480, 640)) for boxes, i in pairs]
    overlooked = sum(int((~kept).sum()) for _, kept in noisy)
    loose = sum(int((new != boxes[kept]).any(1).sum()) for (boxes, _), (new, kept) in zip(pairs, noisy, strict=True))
    assert overlooked > 5 and loose > 60


def test_the_contact_sheet_shows_each_kind_alone():
    assert [lay_out(0, index).defects[0].kind for index in first_of_each_kind(0).values()] == list(ALUMINIUM_CLASSES)
