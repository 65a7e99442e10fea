"""VOC annotations: coordinates, what is dropped and clipped, and which image belongs to which file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.data.formats import voc
from fasterfpn.data.formats.boxes import clip
from fasterfpn.data.formats.record import LabelledObject, Labels
from fasterfpn.data.formats.voc import edges, read_voc
from fasterfpn.data.refusals import refuse
from fasterfpn.data.tree import walk
from fasterfpn.errors import InputError

H, W = 20, 30
coordinate = st.one_of(st.integers(-3, 34), st.floats(-3, 34).map(lambda x: round(x * 4) / 4))


def voc_object(name, box, difficult=False):
    return LabelledObject(name, edges(box), box, difficult)


def kept(tmp_path, *boxes):
    return clip([voc_object(f"c{i}", box) for i, box in enumerate(boxes)], (H, W), tmp_path / "a.xml")


def read_folder(folder):
    reading = voc.read(walk(folder), walk(folder))
    refuse(reading.refusals)
    return reading.records


def refused(path, text):
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_voc(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_an_annotation_is_read(make, tmp_path):
    path = tmp_path / "a.xml"
    objects = [(" dent ", (1, 2, 30, 20)), ("rolled-in_scale", (1.5, "2e0", 3, 4), True)]
    path.write_text(make.xml(objects, (H, W), "C:\\pictures\\a 1.jpg"))
    expected = voc_object("dent", (1, 2, 30, 20)), voc_object("rolled-in_scale", (1.5, 2, 3, 4), True)
    assert read_voc(path) == Labels(
        path, expected, (H, W), "a 1.jpg", ("with blanks around or within a class name, which are removed",)
    )


def test_boxes_of_parts_are_not_the_objects_box(tmp_path):
    box = "<bndbox><xmin>{0}</xmin><ymin>{0}</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    part = f"<part><name>head</name>{box.format(5)}</part>"
    (tmp_path / "a.xml").write_text(f"<annotation><object><name>x</name>{part}{box.format(2)}</object></annotation>")
    assert read_voc(tmp_path / "a.xml").objects == (voc_object("x", (2, 2, 9, 9)),)


@pytest.mark.parametrize("size_tag", ["", "<size/>", "<size><width>0</width><height>0</height></size>"])
def test_a_size_that_says_nothing_is_no_size(make, tmp_path, size_tag):
    (tmp_path / "a.xml").write_text(make.xml(extra=size_tag))
    assert read_voc(tmp_path / "a.xml").size is None


def test_bad_annotations_are_refused_by_name(make, tmp_path):
    path = tmp_path / "bad.xml"
    assert "does not parse as XML" in refused(path, "<annotation><object>")
    assert "does not parse as XML" in refused(path, "")
    assert "root is <html>" in refused(path, "<html/>")
    assert "no name" in refused(path, make.xml([("", (1, 1, 2, 2))]))
    assert "'dent' has no box" in refused(path, "<annotation><object><name>dent</name></object></annotation>")
    for number in ("nan", "inf", "-inf", "1e999", "", "one"):
        assert f"<xmax> of a box is {number!r}" in refused(path, make.xml([("dent", (1, 1, number, 2))]))


def test_entities_are_not_expanded(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY x "{}">]><annotation><filename>&x;</filename></annotation>'
    assert "XML entities" in refused(tmp_path / "bomb.xml", bomb.format("y" * 100))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    outside = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><annotation><filename>&x;</filename></annotation>'
    assert "XML entities" in refused(tmp_path / "outside.xml", outside)


def test_one_based_inclusive_boxes_become_edges(tmp_path):
    objects, problems, counts = kept(tmp_path, (1, 1, W, H), (5, 6, 7, 9))
    assert [item.box for item in objects] == [(0, 0, W, H), (4, 5, 7, 9)]
    assert problems == [] and counts["kept"] == 2


@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=4))
def test_every_box_is_kept_clipped_or_dropped_with_a_line(tmp_path_factory, boxes):
    """Against the definition: which pixels of the image the box covers."""
    path = tmp_path_factory.getbasetemp()
    objects, problems, counts = kept(path, *boxes)
    expected, lines = [], 0
    for i, (xmin, ymin, xmax, ymax) in enumerate(boxes):
        x1, y1, x2, y2 = xmin - 1, ymin - 1, xmax, ymax
        overlaps = x1 < W and y1 < H and x2 > 0 and y2 > 0
        inside = x1 >= 0 and y1 >= 0 and x2 <= W and y2 <= H
        if xmin <= xmax and ymin <= ymax and (xmin, ymin) != (xmax, ymax) and overlaps:
            expected.append((f"c{i}", (max(x1, 0), max(y1, 0), min(x2, W), min(y2, H))))
            lines += not inside
        else:
            lines += 1
    assert [(item.name, item.box) for item in objects] == expected
    assert len(problems) == lines and all(str(path / "a.xml") in line for line in problems)
    fates = ("kept", "clipped", "degenerate", "outside")
    assert counts["boxes"] == len(boxes) == sum(counts[fate] for fate in fates)
    assert counts["kept"] + counts["clipped"] == len(objects)


def test_degenerate_is_judged_on_the_numbers_in_the_file(tmp_path):
    """Both ends belong to the box: equal on one axis, it is one pixel wide; on both, a slip of the mouse."""
    boxes = (5, 5, 5, 9), (5, 5, 9, 5), (5, 5, 5, 5), (9, 5, 8, 9), (5.2, 5, 5.1, 9), (5, 5, 6, 6)
    objects, problems, counts = kept(tmp_path, *boxes)
    assert [item.box for item in objects] == [(4, 4, 5, 9), (4, 4, 9, 5), (4, 4, 6, 6)]
    assert (counts["degenerate"], counts["lines"]) == (3, 2)
    assert "box (5, 5, 5, 5) of 'c2': zero-size or inverted, dropped" in problems[0]


def test_a_sliver_that_float32_would_round_to_nothing_is_outside(tmp_path):
    objects, _, counts = kept(tmp_path, (W + 1 - 1e-9, 1, W + 5, 5))
    assert objects == [] and counts["outside"] == 1


def pairs(folder):
    return {item.key: item.labels and item.labels.path.name for item in read_folder(folder)}


def test_images_are_found_beside_the_xml_in_any_case_and_order(make, tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.TIFF", "._a.png"):
        make.image(tmp_path / name) if not name.startswith(".") else (tmp_path / name).touch()
    for name in ("b.xml", "sub/c.XML", "._b.xml"):
        (tmp_path / name).write_text(make.xml() if not name.startswith(".") else "not XML")
    assert pairs(tmp_path) == {"a": None, "b": "b.xml", "sub/c": "c.XML"}


def test_equal_stems_in_subfolders_keep_to_their_own(make, tmp_path):
    for sub in ("one", "two"):
        make.pair(tmp_path / sub, "same")
    items = read_folder(tmp_path)
    assert [item.key for item in items] == ["one/same", "two/same"]
    assert all(item.labels.path.parent == item.image.parent for item in items)


def test_voc_folders_leave_other_pictures_alone(make, tmp_path):
    make.voc(tmp_path, ["a", "b"])
    make.image(tmp_path / "SegmentationClass" / "a.png")
    assert pairs(tmp_path) == {"a": "a.xml", "b": "b.xml"}


def test_xml_and_images_in_folders_of_any_name(make, tmp_path):
    make.image(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.xml").write_text(make.xml())
    assert pairs(tmp_path) == {"images/a": "a.xml"}


def test_backslashes_in_file_names_separate_folders(make, tmp_path):
    for stem in ("one\\same", "two\\same"):
        make.pair(tmp_path, stem)
    assert pairs(tmp_path) == {"one\\same": "one\\same.xml", "two\\same": "two\\same.xml"}


def test_equal_stems_in_folders_of_the_same_name_belong_together(make, tmp_path):
    for sub in ("one", "two"):
        make.image(tmp_path / "images" / sub / "same.png")
        (tmp_path / "labels" / sub).mkdir(parents=True)
        (tmp_path / "labels" / sub / "same.xml").write_text(make.xml())
    for item in read_folder(tmp_path):
        assert item.labels.path.parent.name == item.image.parent.name


@pytest.mark.parametrize("tag", ["picture.png", "picture", "/home/me/picture.png", "picture.jpg"])
def test_the_filename_tag_is_the_fallback(make, tmp_path, tag):
    make.image(tmp_path / "picture.png")
    (tmp_path / "0001.xml").write_text(make.xml(filename=tag))
    assert pairs(tmp_path) == {"picture": "0001.xml"}


@pytest.mark.parametrize("images, labels", [(".", "."), ("images", "labels")])
def test_the_stem_goes_before_the_filename_tag(make, tmp_path, images, labels):
    for stem in ("a", "b"):
        make.image(tmp_path / images / f"{stem}.png")
    (tmp_path / labels).mkdir(exist_ok=True)
    (tmp_path / labels / "a.xml").write_text(make.xml(filename="b.png"))
    assert list(pairs(tmp_path).values()) == ["a.xml", None]


def test_annotations_without_one_image_of_their_own_are_refused(make, tmp_path):
    make.pair(tmp_path, "a")
    for name in ("lost.png", "", ".", ".."):
        (tmp_path / "lost.xml").write_text(make.xml(filename=name))
        with pytest.raises(InputError, match=r"lost\.xml: its image is missing"):
            read_folder(tmp_path)
    (tmp_path / "lost.xml").write_text(make.xml(filename="a.png"))
    with pytest.raises(InputError, match=r"lost\.xml: .*a\.xml describes the same image"):
        read_folder(tmp_path)
    (tmp_path / "lost.xml").unlink()
    make.image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.xml: belongs to .*a\.jpg or to .*a\.png"):
        read_folder(tmp_path)


def test_an_image_that_lies_elsewhere_or_is_not_read_is_said(make, tmp_path):
    make.pair(tmp_path, "a")
    (tmp_path / "B.heic").touch()
    (tmp_path / "b.xml").write_text(make.xml())
    with pytest.raises(InputError, match=r"b\.xml: its image .*B\.heic is of a kind that is not read; convert it"):
        read_folder(tmp_path)
    (tmp_path / "B.heic").rename(tmp_path / "B.jfif")
    assert pairs(tmp_path) == {"B": "b.xml", "a": "a.xml"}


def test_other_letter_case_goes_after_everything_else(make, tmp_path):
    for stem in ("A", "a"):
        make.pair(tmp_path, stem)
    assert pairs(tmp_path) == {"A": "A.xml", "a": "a.xml"}


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        read_folder(tmp_path)
