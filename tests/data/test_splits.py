"""Layouts of folders, and the parts that come out of them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opening import open_data
from PIL import Image

from fasterfpn.data.config import DataConfig
from fasterfpn.data.formats.record import Record
from fasterfpn.data.splits import _draw_missing
from fasterfpn.errors import InputError

PARTS = ("train", "val", "test")


def stems(splits):
    return {part: [sample.image.stem for sample in getattr(splits, part).samples] for part in PARTS}


def test_voc_lists_are_followed(make, tmp_path):
    lists = {"train": ["c", "a"], "val": ["b.png"], "test": ["d", "", "d"], "dent_train": ["a  1"]}
    splits = open_data(make.voc(tmp_path, "abcd", lists))
    assert stems(splits) == {"train": ["c", "a"], "val": ["b"], "test": ["d"]}
    assert splits.named_test and splits.problems == ()
    assert "4 images, 1 class; train 2, val 1, test 1" in splits.summary[0]


@pytest.mark.parametrize(
    "lists, train",
    [
        ({"trainval": "abcd", "val": "b", "test": "e"}, "acd"),
        ({"trainval": "abcd", "train": "ac", "val": "b", "test": "e"}, "ac"),
        ({"val": "b", "test": "e"}, "acd"),
    ],
)
def test_the_training_part_without_its_own_list(make, tmp_path, lists, train):
    assert stems(open_data(make.voc(tmp_path, "abcde", lists)))["train"] == list(train)


def test_validation_is_drawn_from_the_training_list_only(make, tmp_path):
    names = [f"i{k:02}" for k in range(30)]
    splits = open_data(make.voc(tmp_path, names, {"train": names[:20], "test": names[20:]}), split_seed=3)
    parts = stems(splits)
    assert parts["test"] == names[20:] and splits.named_test
    assert len(parts["val"]) == 2 and sorted(parts["train"] + parts["val"]) == names[:20]
    assert "val 2 (drawn with seed 3), test 10" in splits.summary[0]
    assert stems(open_data(tmp_path, split_seed=3)) == parts != stems(open_data(tmp_path, split_seed=4))


@pytest.mark.parametrize("valid", ["val", "valid", "Validation"])
def test_subfolders_name_the_parts(make, tmp_path, valid):
    make.pair(tmp_path / "train", "a")
    make.pair(tmp_path / valid, "a")
    make.voc(tmp_path / "test", ["b"])
    splits = open_data(tmp_path)
    assert stems(splits) == {"train": ["a"], "val": ["a"], "test": ["b"]}
    assert splits.val.samples[0].image == tmp_path / valid / "a.png" and splits.named_test


def test_a_flat_folder_is_split_into_80_10_10(make, tmp_path):
    for k in range(20):
        make.pair(tmp_path, f"i{k:02}")
    splits = open_data(tmp_path)
    assert {part: len(names) for part, names in stems(splits).items()} == {"train": 16, "val": 2, "test": 2}
    assert not splits.named_test and "test 2 (drawn with seed 0)" in splits.summary[0]


@given(st.integers(1, 200), st.integers(0, 2**40), st.floats(0, 0.45), st.floats(0, 0.45))
def test_drawn_parts_partition_the_images(tmp_path_factory, n, seed, val, test):
    folder = tmp_path_factory.getbasetemp()
    pool = [Record(f"i{k}", folder / f"i{k}.png", None) for k in range(n)]
    expected = {"val": max(1, round(val * n)) if val else 0, "test": max(1, round(test * n)) if test else 0}
    if n - sum(expected.values()) <= 0:  # only where something was to be drawn, for n >= 1
        with pytest.raises(InputError, match="no image is left to train on"):
            _draw_missing({"train": pool}, {"test": test, "val": val}, seed, folder)
        return
    parts = _draw_missing({"train": pool}, {"test": test, "val": val}, seed, folder)
    assert {part: len(parts[part]) for part in expected} == expected
    assert sorted((item for items in parts.values() for item in items), key=pool.index) == pool
    assert all(items == sorted(items, key=pool.index) for items in parts.values())


@given(st.integers(20, 120), st.integers(0, 2**31))
def test_adding_an_image_moves_few_others(tmp_path_factory, n, seed):
    folder = tmp_path_factory.getbasetemp()
    pool = [Record(f"i{k}", folder / f"i{k}.png", None) for k in range(n + 1)]
    shares = {"test": 0.1, "val": 0.1}
    few, more = (_draw_missing({"train": pool[:count]}, shares, seed, folder) for count in (n, n + 1))
    moved = sum(item not in more[part] for part, items in few.items() for item in items)
    assert moved <= 4  # at most two over each of the two borders of the ranking


def test_tensors_of_a_sample(make, tmp_path):
    make.pair(tmp_path, "a", [("scratch", (1, 1, 5, 5), True), ("dent", (2, 3, 8.5, 9))])
    make.pair(tmp_path, "b", [])
    make.image(tmp_path / "c.png")
    splits = open_data(tmp_path, validation_fraction=0, test_fraction=0)
    assert splits.train.classes == ("dent", "scratch") and len(splits.val) == len(splits.test) == 0
    first, second, third = splits.train.samples
    assert first.boxes.tolist() == [[0, 0, 5, 5], [1, 2, 8.5, 9]] and first.labels.tolist() == [2, 1]
    assert first.difficult.tolist() == [True, False] and first.size == (20, 30)
    for empty in (second, third):
        assert empty.boxes.shape == (0, 4) and empty.labels.shape == empty.difficult.shape == (0,)
        assert [t.dtype for t in (empty.boxes, empty.labels)] == [t.dtype for t in (first.boxes, first.labels)]
    assert "2 images without objects (1 without annotation)" in splits.summary[1]


def test_problems_are_reported_once_and_counted(make, tmp_path):
    make.pair(tmp_path, "a", [("dent", (5, 5, 5, 5)), ("dent", (25, 5, 35, 9)), ("dent", (40, 5, 45, 9))])
    make.pair(tmp_path, "b")
    splits = open_data(tmp_path, validation_fraction=0, test_fraction=0)
    assert len(splits.problems) == 3 and all("a.xml" in line for line in splits.problems)
    assert splits.train.samples[0].boxes.tolist() == [[24, 4, 30, 9]]
    assert "4 boxes: 2 dropped (1 zero-size or inverted, 1 outside the image), 1 clipped" in splits.summary[1]
    assert splits.report().splitlines() == [*splits.problems, *splits.summary]
    assert splits.report(limit=1).splitlines() == [splits.problems[0], "... and 2 more like these", *splits.summary]


def test_boxes_are_clipped_to_the_picture_as_shown(make, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 20 high and 30 wide, shown 30 high and 20 wide
    make.image(tmp_path / "a.jpg", (20, 30), exif=exif)
    (tmp_path / "a.xml").write_text(make.xml([("dent", (1, 1, 21, 30))], (30, 20)))
    splits = open_data(tmp_path, validation_fraction=0, test_fraction=0)
    assert splits.train.size(0) == (30, 20) and splits.train.targets(0)["boxes"].tolist() == [[0, 0, 20, 30]]
    assert splits.train[0][0].shape == (3, 30, 20)


def test_images_in_two_lists_or_in_none_are_told(make, tmp_path):
    folder = make.voc(tmp_path, "abcdef", {"train": "abc", "val": "c", "test": "d"})
    with pytest.raises(InputError, match=r"1 image is in two parts[^\n]*allow_copies:\n.*c\.png \(\w+\) = "):
        open_data(folder)
    summary = open_data(folder, allow_copies=True).summary
    assert any("2 images are in no named part and not used (e, f)" in line for line in summary)
    assert any("1 image is in two parts" in line for line in summary)


def names_of(part):
    return {part.image_name(index) for index in range(len(part))}


def test_copies_in_two_parts_stop_and_are_listed(make, tmp_path):
    for part, stem in (("train", "a"), ("train", "b"), ("test", "c"), ("test", "d")):
        make.pair(tmp_path / part, stem)
    for source, copy in (("train/a", "test/c"), ("train/b", "test/d")):
        (tmp_path / f"{copy}.png").write_bytes((tmp_path / f"{source}.png").read_bytes())
    with pytest.raises(InputError) as caught:
        open_data(tmp_path, validation_fraction=0)
    lines = str(caught.value).splitlines()
    assert "2 images are in two parts" in lines[0] and "allow_copies" in lines[0]
    assert lines[1:] == ["  train/a.png (train) = test/c.png (test)", "  train/b.png (train) = test/d.png (test)"]
    splits = open_data(tmp_path, validation_fraction=0, allow_copies=True)
    assert len(splits.test) == 2 and "2 images are in two parts" in splits.report()


def test_copies_within_a_part_are_counted_and_the_lot_does_not_part_them(make, tmp_path):
    for k in range(20):
        make.pair(tmp_path, f"i{k:02}")
    alone = open_data(tmp_path)
    moved = sorted(names_of(alone.test))[0]
    twin = sorted(names_of(alone.train))[0]
    (tmp_path / moved).write_bytes((tmp_path / twin).read_bytes())
    splits = open_data(tmp_path)
    assert any({moved, twin} <= names_of(part) for part in (splits.train, splits.test))
    assert names_of(splits.val) == names_of(alone.val)
    assert "1 image appears more than once within a part" in splits.report()


def test_class_names_that_differ_in_case_alone_stop(make, tmp_path):
    for stem, name in (("a", "A"), ("b", "a"), ("c", "ａ")):
        make.pair(tmp_path, stem, [(name, (1, 1, 5, 5))])
    with pytest.raises(InputError, match=r"classes 'A', 'a', 'ａ' differ in letter case, width.*[abc]\.xml"):
        open_data(tmp_path)


def test_blanks_in_class_names_are_removed_and_told(make, tmp_path):
    for stem, name in (("a", "big dent"), ("b", " big  dent "), ("c", "big dent")):
        make.pair(tmp_path, stem, [(name, (1, 1, 5, 5))])
    splits = open_data(tmp_path)
    assert splits.train.classes == ("big dent",) and "1 label file with blanks around or within" in splits.report()


def test_a_training_part_without_objects_stops_and_a_class_it_lacks_is_told(make, tmp_path):
    make.pair(tmp_path / "train", "a", [])
    make.pair(tmp_path / "valid", "b", [])
    make.pair(tmp_path / "test", "c", [("dent", (1, 1, 5, 5))])
    with pytest.raises(InputError, match="training part of 1 image has no object of dent; label some"):
        open_data(tmp_path)
    assert len(open_data(tmp_path, classes=["dent"]).test) == 1  # a checkpoint need not learn from it
    make.pair(tmp_path / "train", "a", [("pit", (1, 1, 5, 5))])
    report = open_data(tmp_path).report()
    assert "no object of dent in the training part: it cannot be learnt" in report
    assert "no object in the val part" in report


def test_all_files_that_cannot_be_read_are_listed_at_once(make, tmp_path):
    for k in range(5):
        make.pair(tmp_path, f"i{k}")
    (tmp_path / "i0.png").write_bytes(b"")
    (tmp_path / "i2.png").unlink()
    (tmp_path / "i2.png").symlink_to("i2.png")
    (tmp_path / "i4.png").unlink()
    (tmp_path / "i4.png").symlink_to("absent.png")
    with pytest.raises(InputError) as caught:
        open_data(tmp_path)
    message = str(caught.value)
    assert "3 problems" in message and "i0.png: does not decode (the file is empty)" in message
    assert "i2.png: cannot be read (Too many levels of symbolic links)" in message
    assert "i4.png: cannot be read (No such file or directory)" in message


def test_names_that_are_not_utf_8_are_read_and_told(make, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    for k in range(4):
        make.pair(folder, os.fsdecode(b"\xe9%d" % k), [("dent", (0, 1, 5, 5))])
    splits = open_data(folder, split_seed=3)
    assert len(splits.train) == 2 and len(splits.digest()) == 12
    assert splits.report().encode("utf-8", "surrogateescape").count(b"\xe9") == 4


def test_given_classes_keep_their_order_and_refuse_others(make, tmp_path):
    for stem in "abc":
        make.pair(tmp_path, stem)
    splits = open_data(tmp_path, classes=("scratch", "dent"))
    assert splits.train.classes == ("scratch", "dent") and splits.train.samples[0].labels.tolist() == [2]
    with pytest.raises(InputError, match=r"a\.xml: unknown class 'dent'; known are scratch, pit"):
        open_data(tmp_path, classes=("scratch", "pit"))


def test_classes_come_from_the_whole_folder(make, tmp_path):
    make.pair(tmp_path / "train", "a")
    make.pair(tmp_path / "valid", "b", [("blister", (1, 1, 4, 4))])
    make.pair(tmp_path / "test", "c", [("arc", (1, 1, 4, 4))])
    assert open_data(tmp_path).train.classes == ("arc", "blister", "dent")


def test_a_folder_may_be_all_test_where_nothing_is_to_be_drawn(make, tmp_path):
    make.pair(tmp_path, "only", [("dent", (1, 1, 4, 4))])
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("only\n")
    splits = open_data(tmp_path, validation_fraction=0, test_fraction=0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (0, 0, 1)
    with pytest.raises(InputError, match="no image is left to train on"):
        open_data(tmp_path)


def test_bad_folders_are_refused(make, tmp_path):
    with pytest.raises(InputError, match="absent: no such folder"):
        open_data(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no images"):
        open_data(tmp_path)
    make.image(tmp_path / "a.png")
    with pytest.raises(InputError, match="nothing to learn from"):
        open_data(tmp_path, classes=["dent"])
    (tmp_path / "a.xml").write_text(make.xml())
    with pytest.raises(InputError, match="no object in its 1 label file, nothing to learn from"):
        open_data(tmp_path)
    make.pair(tmp_path, "a")
    with pytest.raises(InputError, match="no image is left to train on, of 1"):
        open_data(tmp_path)
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(InputError, match=r"a\.png: does not decode"):
        open_data(tmp_path, validation_fraction=0, test_fraction=0, classes=["dent"])


@pytest.mark.parametrize(
    "content, said",
    [
        (b"a\nmissing\n", "names 'missing', which has no image"),
        (b" \n", "names no image"),
        ("missing\n".encode("utf-16"), "names 'missing'"),
    ],
)
def test_bad_lists_are_refused(make, tmp_path, content, said):
    make.voc(tmp_path, "abc", {"train": "ab"})
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"test\.txt: .*{said}"):
        open_data(tmp_path)


def test_a_name_of_two_images_is_refused(make, tmp_path):
    make.voc(tmp_path, ["a", "b"], {"train": ["c"]})
    for suffix in ("png", "jpg"):
        make.image(tmp_path / "JPEGImages" / f"c.{suffix}")
    with pytest.raises(InputError, match=r"names 'c', which is .*c\.jpg or .*c\.png"):
        open_data(tmp_path)


@pytest.mark.parametrize("fractions", [(-0.1, 0.1), (0.5, 0.5), (float("nan"), 0.1), (0.1, 2)])
def test_impossible_fractions_are_refused(tmp_path, fractions):
    with pytest.raises(InputError, match="fraction"):
        open_data(tmp_path, validation_fraction=fractions[0], test_fraction=fractions[1])
    with pytest.raises(InputError, match="fraction"):
        DataConfig(validation_fraction=fractions[0], test_fraction=fractions[1])


def test_impossible_workers_are_refused():
    with pytest.raises(InputError, match="workers is -1"):
        DataConfig(workers=-1)


def test_the_digest_tells_whether_the_parts_are_the_same(make, tmp_path):
    def digest(folder, **options):
        return open_data(folder, **options).digest()

    for folder in ("one", "other"):
        for number in range(6):
            make.pair(tmp_path / folder, f"{number}", [("dent", (2, 3, 8, 9)), ("stain", (5, 5, 9, 9))])
    first = digest(tmp_path / "one")
    assert first == digest(tmp_path / "one") == digest(tmp_path / "other")
    assert first != digest(tmp_path / "one", split_seed=1)
    changed = tmp_path / "other"
    for objects in (
        [("dent", (2, 3, 8, 10)), ("stain", (5, 5, 9, 9))],
        [("stain", (2, 3, 8, 9)), ("dent", (5, 5, 9, 9))],
    ):
        make.pair(changed, "3", objects)
        assert digest(changed) != first
    make.pair(changed, "3", [("dent", (2, 3, 8, 9)), ("stain", (5, 5, 9, 9))])
    assert digest(changed) == first
    make.pair(changed, "6")
    assert digest(changed) != first
