"""Which picture the boxes of a label file count: as shown, as stored, at another size, or in fractions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opening import open_data
from PIL import Image, ImageOps

from fasterfpn.data.formats.boxes import upright
from fasterfpn.data.images import Header
from fasterfpn.errors import InputError


def boxes_of(folder):
    splits = open_data(folder, validation_fraction=0, test_fraction=0)
    return [splits.train.targets(index)["boxes"].tolist() for index in range(len(splits.train))], splits.report()


def write(make, folder, stem, objects, size, shape=(20, 30), orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    make.image(folder / f"{stem}.jpg", shape, exif=exif)
    (folder / f"{stem}.xml").write_text(make.xml(objects, size))


@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 5), st.integers(1, 4), st.integers(1, 3))
def test_upright_boxes_follow_the_pixels(orientation, x, y, w, h):
    stored = np.zeros((8, 12), dtype=np.uint8)
    stored[y : y + h, x : x + w] = 255
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    shown = np.asarray(ImageOps.exif_transpose(image))
    x1, y1, x2, y2 = upright((x, y, x + w, y + h), Header(shown.shape, orientation))
    expected = np.zeros_like(shown)
    expected[y1:y2, x1:x2] = 255
    assert np.array_equal(shown, expected)


def test_boxes_of_the_image_before_its_orientation_are_turned(make, tmp_path):
    write(make, tmp_path, "a", [("dent", (3, 1, 10, 4))], (20, 30), orientation=6)
    write(make, tmp_path, "b", [("dent", (3, 1, 10, 4))], (20, 30))
    write(make, tmp_path, "c", [("dent", (3, 1, 10, 4))], (20, 30), orientation=3)
    boxes, report = boxes_of(tmp_path)
    assert boxes == [[[16, 2, 20, 10]], [[2, 0, 10, 4]], [[20, 16, 28, 20]]]
    assert "before their EXIF orientation is applied (1 has its sides exchanged): boxes turned" in report


def test_where_some_files_are_upright_and_some_are_not_reading_stops(make, tmp_path):
    write(make, tmp_path, "a", [("dent", (3, 1, 10, 4))], (20, 30), orientation=6)
    write(make, tmp_path, "b", [("dent", (3, 1, 10, 4))], (30, 20), orientation=6)
    with pytest.raises(InputError, match=r"a\.xml: is for an image of 30x20, but a\.jpg has 20x30 pixels"):
        boxes_of(tmp_path)


@pytest.mark.parametrize("factor", [2, 3, 0.5, 64 / 30])
def test_boxes_of_the_image_at_another_size_are_scaled(make, tmp_path, factor):
    for stem in "ab":
        write(make, tmp_path, stem, [("dent", (1, 1, 10, 4))], (round(20 * factor), round(30 * factor)))
    boxes, report = boxes_of(tmp_path)
    x, y = 30 / round(30 * factor), 20 / round(20 * factor)
    np.testing.assert_allclose(boxes, [[[0, 0, min(10 * x, 30), min(4 * y, 20)]]] * 2, rtol=1e-6)
    assert "boxes are for the images at another size in all label files (2): scaled" in report


@pytest.mark.parametrize("size", [(40, 60), (30, 20), (24, 25)])
def test_where_one_file_is_for_another_picture_reading_stops(make, tmp_path, size):
    write(make, tmp_path, "a", [("dent", (1, 1, 10, 4))], (20, 30))
    write(make, tmp_path, "b", [("dent", (1, 1, 10, 4))], None)
    write(make, tmp_path, "c", [("dent", (1, 1, 10, 4))], size)
    with pytest.raises(InputError, match=rf"c\.xml: is for an image of {size[1]}x{size[0]}, but c\.jpg has 30x20"):
        boxes_of(tmp_path)
    write(make, tmp_path, "c", [], size)  # without a box, it does no harm
    assert len(boxes_of(tmp_path)[0]) == 3


def test_a_size_with_its_sides_exchanged_is_ignored_where_the_boxes_show_it(make, tmp_path):
    write(make, tmp_path, "a", [("dent", (22, 3, 30, 9))], (30, 20))
    write(make, tmp_path, "b", [("dent", (2, 3, 8, 9))], (30, 20))
    write(make, tmp_path, "square", [("dent", (2, 3, 8, 9))], (20, 20), shape=(20, 20))
    boxes, report = boxes_of(tmp_path)
    assert boxes == [[[21, 2, 30, 9]], [[1, 2, 8, 9]], [[1, 2, 8, 9]]]
    assert "width and height are exchanged in all label files (3), but the boxes fit the images" in report


@pytest.mark.parametrize(
    ("first", "second", "size"),
    [
        ((2, 3, 8, 9), (2, 3, 8, 9), (30, 20)),  # fit both
        ((22, 3, 30, 9), (3, 22, 9, 30), (30, 20)),  # one fits each
        ((2, 3, 21, 9), (2, 3, 8, 9), (30, 20)),  # no more than a slip of the mouse
        ((22, 3, 30, 9), (2, 3, 8, 9), (20, 30)),  # the second file has the right size
    ],
)
def test_a_size_with_its_sides_exchanged_stops_where_the_boxes_do_not_show_it(make, tmp_path, first, second, size):
    write(make, tmp_path, "a", [("dent", first)], (30, 20))
    write(make, tmp_path, "b", [("dent", second)], size)
    with pytest.raises(InputError, match=r"a\.xml: is for an image of 20x30, but a\.jpg has 30x20"):
        boxes_of(tmp_path)


def test_no_more_than_a_hundred_are_listed(make, tmp_path):
    for k in range(103):
        make.pair(tmp_path, f"i{k:03}", size=(20, 30))
        (tmp_path / f"i{k:03}.xml").write_text(make.xml([("dent", (1, 1, 9, 9))], (20, 30) if k == 0 else (99, 20)))
    with pytest.raises(
        InputError, match="102 of 103 label files are not for their images as shown, the first 100"
    ) as e:
        boxes_of(tmp_path)
    assert len(str(e.value).splitlines()) == 101


def test_fractions_are_scaled_where_all_boxes_are_fractions(make, tmp_path):
    for stem in "ab":
        write(make, tmp_path, stem, [("dent", (0.25, 0, 0.5, 1))], (20, 30))
    boxes, report = boxes_of(tmp_path)
    assert boxes == [[[7.5, 0, 15, 20]]] * 2 and "fractions of width and height in all label files (2)" in report
    write(make, tmp_path, "c", [("dent", (1, 1, 5, 5))], (20, 30))
    with pytest.raises(InputError, match="2 of 3 label files are not for their images"):
        boxes_of(tmp_path)


def test_boxes_far_beyond_most_images_stop(make, tmp_path):
    for stem in "abc":
        write(make, tmp_path, stem, [("dent", (20, 5, 60, 15))], None)
    with pytest.raises(InputError, match=r"boxes reach far beyond their images \(3 of 3, the first in .*a\.xml\)"):
        boxes_of(tmp_path)


@pytest.mark.parametrize("box", [(0.5, 0.5, 1.02, 1.0), (0, 0, 1, 1), (-0.01, 0, 1, 1)])
def test_fractions_that_rounding_led_astray_and_whole_ones_are_fractions(make, tmp_path, box):
    for stem in "abc":
        write(make, tmp_path, stem, [("dent", box)], (20, 30))
    boxes, report = boxes_of(tmp_path)
    x1, y1, x2, y2 = box
    expected = [max(x1 * 30, 0), y1 * 20, min(x2 * 30, 30), y2 * 20]
    assert all(np.allclose(image, [expected]) for image in boxes) and "fractions" in report
