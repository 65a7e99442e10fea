"""Folders that cannot be used as they are: one message says what is wrong with all of it, and what helps."""

import pytest
from opening import open_data

from fasterfpn.errors import InputError

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
COCO = '{"images": [], "annotations": [], "categories": []}'


def refused(folder, **options):
    with pytest.raises(InputError) as caught:
        open_data(folder, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train_labels.csv", HEADER),
        ("images/_annotations.csv", "images/a.png,1,2,9,9,dent\n"),
        ("train.csv", "ImageId;ClassId\na.png;1\n"),
        ("labels.tsv", "a\tdent\n"),
        ("labels.xlsx", "PK\3\4"),
    ],
)
def test_tables_of_labels_are_named(make, tmp_path, name, content):
    make.image(tmp_path / "images" / "a.png")
    (tmp_path / name).write_text(content)
    said = refused(tmp_path)
    assert (
        f"labels that look like a table ({name.split('/')[-1]})" in said
        and "convert it to VOC XML, one file for each image" in said
    )


def test_tables_of_other_things_are_not(make, tmp_path):
    make.image(tmp_path / "a.png")
    (tmp_path / "costs.csv").write_text("day,euros\nb.png,3\n")
    (tmp_path / "list.csv").write_text("a.png\n")
    assert "its images have no label files" in refused(tmp_path)


def test_tables_of_images_beside_a_few_xml_are_told_and_no_more(make, tmp_path):
    make.pair(tmp_path, "a")
    for stem in "bcdef":
        make.image(tmp_path / f"{stem}.png")
    (tmp_path / "shifts.csv").write_text("a.png,night\n")
    (tmp_path / "report.xlsx").touch()
    splits = open_data(tmp_path, validation_fraction=0, test_fraction=0)
    assert "files that are not read: 1 .csv (shifts.csv), 1 .xlsx (report.xlsx)" in splits.report()


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/a.jpg", "masks/a.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
        ("a.jpg", "a_mask.png"),
        ("test/crack/000.png", "ground_truth/crack/000_mask.png"),
    ],
)
def test_masks_are_named_alone_and_beside_a_label_file(make, tmp_path, image, mask):
    make.image(tmp_path / image)
    make.image(tmp_path / mask)
    said = refused(tmp_path)
    assert f"masks of pixels ({mask} of {image})" in said and "with a box around each region" in said
    if image == "a.jpg":  # a mask would be an image without objects
        (tmp_path / "a.xml").write_text(make.xml([("dent", (2, 3, 8, 9))]))
        assert "has 1 XML file for 2 images, and masks of pixels" in refused(tmp_path)


def test_a_mask_is_no_mask_without_its_image(make, tmp_path):
    make.image(tmp_path / "masks" / "a.png")
    make.image(tmp_path / "_mask.png")
    make.image(tmp_path / "images" / "b.png")
    assert "its images have no label files" in refused(tmp_path)


@pytest.mark.parametrize("text", ["<project/>", None])
def test_a_stray_xml_does_not_make_a_coco_folder_a_voc_one(make, tmp_path, text):
    for stem in "abcd":
        make.image(tmp_path / f"{stem}.png")
    (tmp_path / "instances.json").write_text(COCO)
    (tmp_path / "a.xml").write_text(text or make.xml([("dent", (2, 3, 8, 9))]))
    said = refused(tmp_path)
    assert "has 1 XML file for 4 images, and labels that look like COCO JSON (instances.json)" in said
    for stem in "abc":
        make.pair(tmp_path, stem)
    assert "files that are not read: 1 .json" in open_data(tmp_path).report()


@pytest.mark.parametrize("above", ["", "VOCdevkit"])
@pytest.mark.parametrize("lists", [None, {"train": "abcd", "test": "ef"}])
def test_two_voc_data_sets_stop(make, tmp_path, above, lists):
    for year in ("VOC2007", "VOC2012"):
        make.voc(tmp_path / above / year, "abcdef", lists)
    names = [f"{above}/{year}".strip("/") for year in ("VOC2007", "VOC2012")]
    assert f"holds 2 VOC data sets, {names[0]}, {names[1]}; give one of them, or join" in refused(tmp_path)


def test_voc_data_sets_in_parts_are_the_parts(make, tmp_path):
    for part, stems in (("train", "abc"), ("test", "de")):
        make.voc(tmp_path / part / "VOC2007", stems)
    assert len(open_data(tmp_path, validation_fraction=0).test) == 2


def test_what_lies_beside_the_only_voc_data_set_is_told(make, tmp_path):
    make.voc(tmp_path / "VOC2007", "abcdef", {"train": "abcd", "test": "ef"})
    (tmp_path / "README.txt").touch()
    splits = open_data(tmp_path, validation_fraction=0)
    assert splits.named_test and "files that are not read: 1 .txt (README.txt)" in splits.report()
    (tmp_path / "test.txt").write_text("a\n")  # what may be a list is followed
    assert splits.digest() != open_data(tmp_path, validation_fraction=0).digest()


@pytest.mark.parametrize("box", [(8, 9, 2, 3), (8, 3, 2, 9), (20, 12, 6, 5), (5, 5, 5, 5)])
def test_boxes_of_which_most_have_no_area_stop(make, tmp_path, box):
    for stem in "abcd":
        make.pair(tmp_path, stem, [("dent", box if stem < "c" else (2, 3, 8, 9))])
    assert len(open_data(tmp_path, validation_fraction=0).problems) == 2
    make.pair(tmp_path, "c", [("dent", box)])
    said = refused(tmp_path)
    assert "boxes are zero-size or inverted (3 of 4, " in said and "a.xml: box (" in said
    assert "x, y, width, height" in said and "write left, top, right, bottom" in said


def test_images_that_nobody_labelled(make, tmp_path):
    for stem in "abcd":
        make.pair(tmp_path, stem, [])
    assert "no object in its 4 label files, nothing to learn from; draw boxes" in refused(tmp_path)


def test_copies_that_leave_a_part_empty_stop(make, tmp_path):
    for stem in "abcdef":
        make.pair(tmp_path, stem)
        (tmp_path / f"{stem}.png").write_bytes((tmp_path / "a.png").read_bytes())
    said = refused(tmp_path)
    assert "1 different image left none for the test part; add images" in said and "seed" not in said
    assert "6 images, 1 class" in open_data(tmp_path, validation_fraction=0, test_fraction=0).report()


def test_a_test_part_of_copies_alone_gets_advice_that_leaves_one(make, tmp_path):
    for stem in "abc":
        for part in ("train", "test"):
            make.pair(tmp_path / part, stem)
        (tmp_path / "test" / f"{stem}.png").write_bytes((tmp_path / "train" / f"{stem}.png").read_bytes())
    assert "give the test part other images, or remove it, and one is drawn from the training part, or set" in refused(
        tmp_path
    )


def test_label_files_in_the_wrong_part_are_listed_of_all_parts(make, tmp_path):
    for part, other in (("train", "validation"), ("validation", "train")):
        for k in range(2):
            make.image(tmp_path / part / f"{part}{k}.png")
            (tmp_path / other).mkdir(exist_ok=True)
            (tmp_path / other / f"{part}{k}.xml").write_text(make.xml([("dent", (1, 1, 5, 5))]))
    lines = refused(tmp_path).splitlines()
    assert lines[0] == "4 problems:" and all("its image lies elsewhere, at" in line for line in lines[1:])
    assert len(lines) == 5 and len({line.split(":")[0] for line in lines}) == 5


def test_labels_pairs_headers_and_sizes_come_in_one_message(make, tmp_path):
    for stem in "abcdef":
        make.pair(tmp_path, stem)
    (tmp_path / "a.xml").write_text("<annotation")
    (tmp_path / "b.png").write_text("no image")
    (tmp_path / "c.xml").write_text(make.xml([("dent", (1, 1, 5, 5))], (20, 77)))
    (tmp_path / "lost.xml").write_text(make.xml())
    said = refused(tmp_path)
    assert said.startswith("4 problems:\n")
    for line in ("a.xml: does not parse", "b.png: does not decode", "c.xml: is for an image of 77x20", "lost.xml: its"):
        assert f"{tmp_path}/{line}" in said


def test_images_without_a_suffix_get_the_advice_to_add_it(make, tmp_path):
    for stem in "abcde":
        make.image(tmp_path / f"{stem}.jpg")
        (tmp_path / f"{stem}.xml").write_text(make.xml([("dent", (1, 1, 5, 5))]))
    (tmp_path / "a.jpg").rename(tmp_path / "a")
    assert refused(tmp_path) == f"{tmp_path}/a.xml: its image {tmp_path}/a has no suffix; rename it to a.jpg"
    (tmp_path / "a.xml").unlink()
    (tmp_path / "README").write_text("text")
    report = open_data(tmp_path).report()
    assert "1 without a suffix (README), 1 without a suffix, to be named .jpg (a)" in report
    for stem in "bcde":
        (tmp_path / f"{stem}.jpg").rename(tmp_path / stem)
    assert "holds no images, but" in refused(tmp_path) and "5 without a suffix, to be named .jpg" in refused(tmp_path)
