"""`python -m fasterfpn.evaluate`: which images it takes, and the same figures from the checkpoint alone."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fasterfpn import build_detector
from fasterfpn.cli import run
from fasterfpn.data.config import DataConfig
from fasterfpn.engine.checkpoint import save_checkpoint
from fasterfpn.engine.config import SMALL
from fasterfpn.errors import InputError
from fasterfpn.evaluate import main, select_images

CLASSES = ("dent", "scratch")
TINY = replace(
    SMALL,
    model=replace(
        SMALL.model,
        image=replace(SMALL.model.image, image_min_side=32, image_max_side=64),
        backbone=replace(SMALL.model.backbone, width=16, pyramid_channels=8),
        box=replace(SMALL.model.box, box_hidden=8),
    ),
)


def write_folder(folder, count, test=None, name="dent", difficult=0):
    """`count` annotated images in VOC's layout; `test` lists numbers of the named test part."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{number}.png")
        box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
        entry = f"<object><name>{name}</name><difficult>{difficult}</difficult>{box}</object>"
        (folder / "Annotations" / f"{number}.xml").write_text(f"<annotation>{entry}</annotation>")
    if test is not None:
        (folder / "ImageSets" / "Main" / "test.txt").write_text("".join(f"{number}\n" for number in test))
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """An untrained detector, saved as if trained on 10 images without a named test part, of which 3 are drawn."""
    root = tmp_path_factory.mktemp("evaluate")
    write_folder(root / "own", 10)
    detector = build_detector(TINY.model, CLASSES)
    save_checkpoint(root / "model.safetensors", detector, replace(TINY, data=own(root)), step=1)
    return root


def own(run_folder):
    return DataConfig(data=str(run_folder / "own"), split_seed=5, test_fraction=0.3, validation_fraction=0.2)


@pytest.mark.parametrize(("split", "images"), [(None, 3), ("test", 3), ("val", 2), ("train", 5), ("all", 10)])
@pytest.mark.parametrize("named", [False, True])
def test_of_its_own_data_the_run_is_judged_on_what_it_was_not_trained_on(run_folder, split, images, named):
    data = str(run_folder / "own" / ".." / "own") if named else None  # another way to write the same folder
    selection = select_images(own(run_folder), data, split, CLASSES)
    assert len(selection.dataset) == images
    assert selection.split == (split or "test")


def test_the_drawn_parts_are_those_of_training(run_folder):
    trained_on = own(run_folder)
    parts = {split: names(select_images(trained_on, None, split, CLASSES)) for split in ("train", "val", "test")}
    assert sorted(itertools.chain(*parts.values())) == sorted(f"{number}.png" for number in range(10))
    other_seed = select_images(replace(trained_on, split_seed=6), None, "test", CLASSES)
    assert names(other_seed) != parts["test"]


def names(selection):
    return [sample.image.name for part in selection.dataset.datasets for sample in part.samples]


def test_another_folder_serves_whole_unless_it_names_a_test_part(run_folder, tmp_path):
    unnamed = select_images(own(run_folder), str(write_folder(tmp_path / "unnamed", 4)), None, CLASSES)
    assert (len(unnamed.dataset), unnamed.split) == (4, "all")
    named = select_images(own(run_folder), str(write_folder(tmp_path / "named", 4, test=[1, 3])), None, CLASSES)
    assert (names(named), named.split) == (["1.png", "3.png"], "test")
    single = select_images(own(run_folder), str(write_folder(tmp_path / "single", 1)), None, CLASSES)
    assert len(single.dataset) == 1


def test_unknown_classes_and_empty_parts_are_refused(run_folder, tmp_path):
    with pytest.raises(InputError, match="crater"):
        select_images(own(run_folder), str(write_folder(tmp_path / "crater", 3, name="crater")), None, CLASSES)
    with pytest.raises(InputError, match="val part"):
        select_images(replace(own(run_folder), validation_fraction=0.0), None, "val", CLASSES)
    with pytest.raises(InputError, match="no such folder"):
        select_images(own(run_folder), str(tmp_path / "missing"), None, CLASSES)


def test_the_figures_follow_from_the_checkpoint_alone(run_folder, tmp_path, capsys):
    main(run_folder, json_file=tmp_path / "first.json", device="cpu")
    printed = capsys.readouterr().out
    assert "3 images, part test" in printed and "own" in printed and "VOC average precision" in printed
    main(run_folder / "model.safetensors", json_file=tmp_path / "second.json", device="cpu")
    first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("first", "second"))
    assert first.pop("run") != second.pop("run")
    assert first == second
    assert (first["images"], first["objects"], first["split"]) == (3, 3, "test")
    assert first["AP_area"].keys() == set(CLASSES) and first["AP_area"]["scratch"] is None
    assert {"iou_threshold", "mAP_area", "mAP_11_point", "AP_11_point", "mAP_area_without_difficult"} <= first.keys()


def test_difficult_boxes_count_in_the_main_figures_only(run_folder, tmp_path):
    data = write_folder(tmp_path / "difficult", 3, difficult=1)
    main(run_folder, data=str(data), json_file=tmp_path / "figures.json", device="cpu")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["difficult_objects"] == figures["objects"] == 3
    assert figures["mAP_area"] is not None and figures["mAP_area_without_difficult"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "--iou", "0"], "--iou"),
        (["{run}", "--iou", "nan"], "--iou nan"),
        (["{run}", "--iou", "inf"], "--iou inf"),
        (["{run}", "--threads", "-1"], "--threads -1"),
        (["{run}", "--device", "meta"], "--device meta"),
        (["{run}", "--json", "{run}/none/figures.json"], "--json {run}/none/figures.json: cannot be written (No such"),
        (["{run}", "--json", "{run}"], "--json {run}: is not a regular file"),
        (["{run}", "--json", "/dev/null"], "--json /dev/null: is not a regular file"),
        (["{run}", "--json", "/proc/figures.json"], "--json /proc/figures.json: cannot be written"),
        (["{run}", "--data", "{run}/none"], "no such folder"),
        (["{run}/none"], "no such run folder"),
        (["{run}", "--device", "abacus"], "--device abacus"),
    ],
)
def test_bad_input_is_one_line_and_status_2(run_folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        run(main, "evaluate", [argument.format(run=run_folder) for argument in arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message.format(run=run_folder) in error and error.count("\n") == 1
    assert not Path(run_folder / "none").exists()
