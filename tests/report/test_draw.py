"""Pictures of detections: the box stays visible, the label legible and inside."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from fasterfpn.report.draw import GREEN, SMALLEST_TYPE, draw_detections, enlargement, label_size, to_picture, type_size


def greens(picture):
    """(H, W) bool: where the picture has the colour of boxes."""
    return (np.asarray(picture) == GREEN).all(axis=2)


@given(st.integers(1, 3000), st.integers(1, 3000), st.lists(st.text("ab W_", max_size=30), max_size=3))
@example(200, 200, ["rolled-in_scale 0.87"])
@example(1, 1, ["x"])
def test_every_label_fits_in_legible_type(width, height, texts):
    size, factor = type_size((width, height), texts)
    assert size >= SMALLEST_TYPE
    for text in texts:
        label = label_size(text, ImageFont.load_default(size))
        assert label[0] <= width * factor and label[1] <= height * factor
    if factor > 1:  # only where there is no other way
        assert size == SMALLEST_TYPE
        assert enlargement((width * (factor - 1), height * (factor - 1)), texts, size) > 1


@given(
    st.integers(120, 300),
    st.integers(120, 300),
    st.tuples(*[st.floats(0, 1)] * 4),
)
@example(200, 200, (0.0, 0.0, 1.0, 1.0))
@example(200, 200, (1.0, 1.0, 1.0, 1.0))
def test_the_box_is_green_all_around_and_the_rest_is_untouched(width, height, corners):
    x1, x2 = sorted((corners[0] * width, corners[2] * width))
    y1, y2 = sorted((corners[1] * height, corners[3] * height))
    blank = torch.full((3, height, width), 0.5)
    picture = draw_detections(blank, torch.tensor([[x1, y1, x2, y2]]), ["dent"], [0.8])
    assert picture.size == (width, height)
    green = greens(picture)
    left, top = max(0, round(x1) - 1), max(0, round(y1) - 1)
    right, bottom = min(width, round(x2) + 1) - 1, min(height, round(y2) + 1) - 1
    label = label_size("dent 0.80", ImageFont.load_default(12))
    strip = np.zeros_like(green)  # the label's own place, which may lie over an edge
    x = min(left, width - label[0])
    for offset in range(4):
        y = max(0, top - offset)
        y = y - label[1] if y >= label[1] else min(y, height - label[1])
        strip[max(0, y) : y + label[1], max(0, x - 2) : x + label[0]] = True
    edges = np.zeros_like(green)
    edges[top, left : right + 1] = edges[bottom, left : right + 1] = True
    edges[top : bottom + 1, left] = edges[top : bottom + 1, right] = True
    assert green[edges & ~strip].all()
    outside = np.ones_like(green)
    outside[max(0, top - 2) : bottom + 3, max(0, left - 2) : right + 3] = False
    assert (np.asarray(picture)[outside & ~strip] == 128).all()


@pytest.mark.parametrize("corner", [(0, 0), (190, 0), (0, 195), (195, 195), (100, 5)])
def test_the_whole_label_is_in_the_image(corner):
    """Wherever the box lies, as many pixels show type and ground as in the middle of the image."""

    def ground(x, y):
        picture = draw_detections(torch.zeros(3, 200, 200), torch.tensor([[x, y, x + 4.0, y + 4.0]]), ["crater"], [0.5])
        width, height = label_size("crater 0.50", ImageFont.load_default(12))
        green = greens(picture)
        windows = np.lib.stride_tricks.sliding_window_view(green, (height, width)).sum(axis=(2, 3))
        return windows.max()

    assert ground(*corner) >= ground(100, 100)


def test_an_image_too_small_for_its_label_is_enlarged_and_the_box_with_it():
    picture = draw_detections(torch.zeros(3, 24, 32), torch.tensor([[8.0, 20.0, 24.0, 24.0]]), ["scratch"], [0.5])
    factor = picture.width // 32
    assert factor > 1 and picture.size == (32 * factor, 24 * factor)
    assert greens(picture)[20 * factor : 24 * factor, 8 * factor - 1].all()


def test_the_type_grows_with_the_image():
    assert type_size((2560, 1920), ["non-conductive 0.99"]) == (48, 1)
    assert type_size((640, 480), ["non-conductive 0.99"]) == (12, 1)


def test_the_best_detection_lies_on_top():
    """Two labels on the same corner: what is seen is the better one, in whichever order they come."""
    box = torch.tensor([[30.0, 60, 90, 90]])
    alone = np.asarray(draw_detections(torch.zeros(3, 200, 200), box, ["weld"], [0.9]))
    for names, scores in ((["weld", "w"], [0.9, 0.1]), (["w", "weld"], [0.1, 0.9])):
        both = draw_detections(torch.zeros(3, 200, 200), box.repeat(2, 1), names, torch.tensor(scores))
        assert (np.asarray(both) == alone).all()


def test_nothing_detected_gives_the_image_itself_and_the_original_is_left_alone():
    original = Image.new("L", (50, 40), 70)
    picture = draw_detections(original, torch.zeros(0, 4), [], [])
    assert picture.mode == "RGB" and picture.size == (50, 40)
    assert (np.asarray(picture) == 70).all()
    coloured = Image.new("RGB", (200, 100))
    draw_detections(coloured, torch.tensor([[5.0, 5, 50, 50]]), ["dent"], [0.5])
    assert not np.asarray(coloured).any()


def test_tensors_become_pictures_without_loss():
    pixels = torch.arange(256).repeat(3).reshape(3, 16, 16)
    assert (np.asarray(to_picture(pixels / 255)) == pixels.permute(1, 2, 0).numpy()).all()
    assert np.asarray(to_picture(torch.tensor([-1.0, 2.0, 0.5]).reshape(3, 1, 1))).tolist() == [[[0, 255, 128]]]


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError):
        draw_detections(torch.zeros(3, 20, 20), torch.zeros(1, 4), ["dent"], [])
