"""Parts by folders and lists, almost like the expected ones: followed or named, never ignored in silence."""

import pytest
from opening import open_data

from fasterfpn.data.formats.parts import part_named
from fasterfpn.errors import InputError


def stems(splits):
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    return {name: "".join(sample.image.stem for sample in part.samples) for name, part in parts.items()}


def test_names_of_parts():
    names = "train Training TRAIN2017 train_list val Valid validation val_set test Testing test-images tests test_1"
    assert [part_named(name) for name in names.split()] == ["train"] * 4 + ["val"] * 4 + ["test"] * 5
    assert part_named("trainval") == part_named("Train_Val") == "trainval"
    assert not any(map(part_named, ("latest", "contest", "dent_test", "testimony", "value", "trainer", "images", "1")))


@pytest.mark.parametrize("place", ["ImageSets/Main", "imagesets/main", "ImageSets", "."])
@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "Validation", "TEST"), ("training", "valid", "testing")]
)
def test_lists_under_other_names_and_in_other_places(make, tmp_path, place, names):
    make.voc(tmp_path, "abcdef")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name, listed in zip(names, ("ab", "c", "def"), strict=True):
        (tmp_path / place / f"{name}.txt").write_text("\n".join(listed))
    splits = open_data(tmp_path)
    assert stems(splits) == {"train": "ab", "val": "c", "test": "def"} and splits.named_test
    assert len(splits.summary) == 2


@pytest.mark.parametrize(
    "line",
    [
        "im0",
        "im0  1",
        "im0\t-1",
        "im0.png",
        "im0.PNG",
        "im0.jpg",
        "IM0",
        "im0.png,1,2",
        "JPEGImages/im0.png",
        "JPEGImages\\im0.png",
        "data/VOC2007/JPEGImages/im0.png",
        "C:\\data\\JPEGImages\\IM0.PNG 3",
        "./im0",
        '"im0.png"',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lines_of_lists(make, tmp_path, line, encoding):
    make.voc(tmp_path, ["im0", "im1", "im 2", "im3"])
    (tmp_path / "train.txt").write_text("im 2\r\nim 2.png 1\r\nim1\r\nim3\r\n")
    (tmp_path / "test.txt").write_bytes(f"{line}\r\n".encode(encoding))
    splits = open_data(tmp_path, validation_fraction=0)
    assert stems(splits) == {"train": "im 2im1im3", "val": "", "test": "im0"}


def test_a_line_means_the_image_that_it_fits_best(make, tmp_path):
    for stem in ("one/x", "two/x", "two/X", "two/y"):
        make.pair(tmp_path / stem[:3], stem[4:])
    (tmp_path / "train.txt").write_text("two/y\n")
    (tmp_path / "test.txt").write_text("data\\two\\x.jpg\none/X\n")
    splits = open_data(tmp_path, validation_fraction=0)
    assert [sample.image.relative_to(tmp_path).as_posix() for sample in splits.test.samples] == [
        "two/x.png",
        "one/x.png",
    ]
    (tmp_path / "test.txt").write_text("x\n")
    with pytest.raises(InputError, match=r"names 'x', which is .*one/x\.png or .*two/x\.png"):
        open_data(tmp_path)


def test_every_missing_name_of_a_list_is_told(make, tmp_path):
    make.voc(tmp_path, "ab", {"test": ["a", "lost", "gone"]})
    with pytest.raises(InputError, match=r"names 2 images that are not there, 'lost', 'gone'"):
        open_data(tmp_path)


def test_two_lists_of_one_part_agree_or_stop(make, tmp_path):
    make.voc(tmp_path, "abcd", {"test": "ab"})
    (tmp_path / "test.txt").write_text("b.png\na\n")
    assert stems(open_data(tmp_path, validation_fraction=0)) == {"train": "cd", "val": "", "test": "ab"}
    (tmp_path / "test.txt").write_text("b\n")
    with pytest.raises(InputError, match=r"test\.txt: names the test part, as .*Main/test\.txt does with other images"):
        open_data(tmp_path)


@pytest.mark.parametrize("name", ["splits/test.txt", "test.csv", "Test.json", "ImageSets/Layout/test.txt"])
def test_a_test_part_that_cannot_be_followed_stops(make, tmp_path, name):
    make.voc(tmp_path, "abcd")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("a\n")
    with pytest.raises(InputError, match=r"looks like the test part.*ImageSets/Main/test\.txt"):
        open_data(tmp_path)
    make.voc(tmp_path, "abcd", {"test": "b"})
    splits = open_data(tmp_path)
    assert stems(splits)["test"] == "b" and f"{name}: looks like the test part and is not used" in splits.report()


def test_other_lists_are_named(make, tmp_path):
    make.voc(tmp_path, "abcd", {"train": "ab", "val": "c", "trainval": "abc", "test": "d", "dent_train": "a"})
    report = open_data(tmp_path).report()
    assert "files that are not read: 1 .txt (ImageSets/Main/dent_train.txt)" in report
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "val.txt").write_text("a\n")
    assert "split/val.txt: looks like the val part and is not used" in open_data(tmp_path).report()


@pytest.mark.parametrize("layout", ["images/{part}", "{part}/images", "{part}", "JPEGImages/{part}"])
@pytest.mark.parametrize("valid", ["val", "Valid", "val2017"])
def test_parts_by_folders(make, tmp_path, layout, valid):
    (tmp_path / "Annotations").mkdir()
    for part, listed in (("train", "ab"), (valid, "c"), ("test", "de")):
        for stem in listed:
            make.pair(tmp_path / layout.format(part=part), stem)
            if layout.startswith("JPEG"):
                (tmp_path / layout.format(part=part) / f"{stem}.xml").rename(tmp_path / "Annotations" / f"{stem}.xml")
    splits = open_data(tmp_path)
    assert stems(splits) == {"train": "ab", "val": "c", "test": "de"} and splits.named_test


def test_a_test_folder_alone_is_the_test_part(make, tmp_path):
    for stem in ("a", "b", "test/c"):
        make.pair(tmp_path, stem) if len(stem) == 1 else make.pair(tmp_path / "test", "c")
    assert stems(open_data(tmp_path, validation_fraction=0)) == {"train": "ab", "val": "", "test": "c"}


def test_a_test_folder_that_is_not_in_the_layout_stops(make, tmp_path):
    make.voc(tmp_path, "abcd")
    make.image(tmp_path / "test" / "e.png")
    with pytest.raises(InputError, match="test: looks like the test part"):
        open_data(tmp_path)
    make.voc(tmp_path, "abcd", {"test": "b"})
    assert "test: looks like the test part and is not used" in open_data(tmp_path).report()


def test_two_folders_of_one_part_stop(make, tmp_path):
    for part in ("train", "val", "valid"):
        make.pair(tmp_path / part, "a")
    with pytest.raises(InputError, match="valid: val/ beside it names the same part"):
        open_data(tmp_path)


def test_a_label_file_whose_image_lies_in_another_part(make, tmp_path):
    for part, stem in (("train", "a"), ("validation", "b")):
        make.pair(tmp_path / part, stem)
    (tmp_path / "train" / "b.xml").write_text(make.xml([("dent", (1, 1, 5, 5))]))
    (tmp_path / "validation" / "b.xml").unlink()
    with pytest.raises(InputError, match=r"train/b\.xml: its image lies elsewhere, at .*validation/b\.png; move one"):
        open_data(tmp_path)


def test_images_of_no_kind_that_is_read_are_named(make, tmp_path):
    for stem in "abcd":
        make.pair(tmp_path, stem)
    for name in ("x.heic", "y.HEIC", "z.mp4", "README", "Thumbs.db", ".DS_Store", "._a.png", "__MACOSX/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    report = open_data(tmp_path).report()
    assert "files that are not read: 2 .heic (x.heic, y.HEIC), 1 .mp4 (z.mp4), 1 without a suffix (README)" in report


@pytest.mark.parametrize("suffix", ["webp", "gif", "jfif", "ppm", "jp2"])
def test_every_kind_that_pillow_reads_safely_is_read(make, tmp_path, suffix):
    for stem in "abcd":
        make.image(tmp_path / f"{stem}.{suffix}")
        (tmp_path / f"{stem}.xml").write_text(make.xml([("dent", (1, 1, 5, 5))]))
    splits = open_data(tmp_path, validation_fraction=0)
    assert len(splits.train) == 3 and splits.train[0][0].shape == (3, 20, 30)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("annotations/instances.json", '{"info": {}, "images": [], "annotations": []}', "COCO JSON"),
        ("_annotations.coco.json", '{"categories": []}', "COCO JSON"),
        ("labels/a.txt", "0 0.5 0.5 0.2 0.1\n", "YOLO text files"),
        ("a.txt", "3 0.1 0.1 0.2 0.1 0.3 0.3\n", "YOLO text files"),
        ("a.json", '{"version": "5.4", "shapes": []}', "labelme JSON"),
        ("a.json", "{}", "no label files"),
    ],
)
def test_a_folder_of_another_format_gets_advice_that_fits(make, tmp_path, name, content, said):
    make.image(tmp_path / "images" / "a.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        open_data(tmp_path)
    message = str(caught.value)
    assert said in message and "VOC: .xml" in message and "单瑕疵图片" in message and "\n" not in message


@pytest.mark.parametrize("name", ["my_test.txt", "测试集.txt", "test", "holdout.txt", "eval_list.txt"])
def test_what_speaks_of_a_test_part_and_cannot_be_followed_stops(make, tmp_path, name):
    make.voc(tmp_path, "abcdef")
    (tmp_path / name).write_text("e\nf\n")
    with pytest.raises(InputError, match=rf"{name}: looks like the test part"):
        open_data(tmp_path)


def test_lists_of_one_class_are_no_parts(make, tmp_path):
    make.voc(tmp_path, "abcdef")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "dent_test.txt").write_text("e 1\nf -1\n")
    assert not open_data(tmp_path).named_test


@pytest.mark.parametrize("above", ["VOCdevkit/VOC2007", "VOC2007"])
def test_a_voc_data_set_further_down_is_read_with_its_lists(make, tmp_path, above):
    make.voc(tmp_path / above, "abcdef", {"train": "abcd", "test": "ef"})
    splits = open_data(tmp_path, validation_fraction=0)
    assert stems(splits) == {"train": "abcd", "val": "", "test": "ef"} and splits.named_test


def test_names_that_macos_decomposes_are_the_same(make, tmp_path):
    make.voc(tmp_path, ["e\u0301", "b", "c", "d"], {"train": "bc", "test": ["\u00e9", "d"]})
    (tmp_path / "Annotations" / "e\u0301.xml").rename(tmp_path / "Annotations" / "\u00e9.xml")
    assert len(open_data(tmp_path, validation_fraction=0).test) == 2
