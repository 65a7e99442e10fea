"""`python -m fasterfpn.predict`: pictures and detections.json, or one line that names what is wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fasterfpn import build_detector
from fasterfpn.cli import run
from fasterfpn.engine.checkpoint import save_checkpoint
from fasterfpn.engine.config import SMALL
from fasterfpn.predict import main, picture_paths

TINY = replace(
    SMALL,
    model=replace(
        SMALL.model,
        image=replace(SMALL.model.image, image_min_side=32, image_max_side=64),
        backbone=replace(SMALL.model.backbone, width=16, pyramid_channels=8),
        box=replace(SMALL.model.box, box_hidden=8),
    ),
)


def write_image(path, seed=0, size=(96, 120)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def run_folder(tmp_path):
    """An untrained detector of two classes: about a third for each, so that many boxes score 0.2."""
    (tmp_path / "run").mkdir()
    detector = build_detector(TINY.model, ("dent", "scratch"))
    save_checkpoint(tmp_path / "run" / "model.safetensors", detector, TINY, step=1)
    return tmp_path / "run"


def predict(*arguments):
    """The exit status of the command line."""
    try:
        run(main, "predict", [str(argument) for argument in arguments] + ["--device", "cpu"])
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_folders_are_searched_and_equal_stems_kept_apart(run_folder, tmp_path, capsys):
    for seed, name in enumerate(("a/x.png", "a/deep/x.JPG", "a/y.bmp")):
        write_image(tmp_path / name, seed)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    single = write_image(tmp_path / "x.png", 7)
    assert predict(run_folder, tmp_path / "a", single, tmp_path / "a" / "y.bmp", "--score", "0.2") == 0
    out = run_folder / "predictions"
    content = json.loads((out / "detections.json").read_text())
    assert content["classes"] == ["dent", "scratch"]
    images = [entry["image"] for entry in content["images"]]
    assert images == [str(tmp_path / name) for name in ("a/deep/x.JPG", "a/x.png", "a/y.bmp", "x.png")]
    assert [entry["picture"] for entry in content["images"]] == ["x.jpg", "x_2.jpg", "y.jpg", "x_3.jpg"]
    assert {path.name for path in out.iterdir()} == {"x.jpg", "x_2.jpg", "x_3.jpg", "y.jpg", "detections.json"}
    for entry in content["images"]:
        with Image.open(out / entry["picture"]) as picture:
            pixels = np.asarray(picture).astype(int)
        assert pixels.shape == (96, 120, 3)
        assert (np.abs(pixels - (0, 255, 0)).max(axis=2) < 60).sum() > 100  # green, as JPEG keeps it
        scores = [found["score"] for found in entry["detections"]]
        assert scores == sorted(scores, reverse=True) and entry["best_score"] == scores[0] and scores[-1] >= 0.2
        for found in entry["detections"]:
            x1, y1, x2, y2 = found["box"]
            assert found["class"] in ("dent", "scratch") and 0 <= x1 < x2 <= 120 and 0 <= y1 < y2 <= 96
    assert "of 4 images" in capsys.readouterr().out


def test_when_nothing_passes_it_says_what_the_best_score_was(run_folder, tmp_path, capsys):
    image = write_image(tmp_path / "x.png")
    assert predict(run_folder / "model.safetensors", image, "--score", "1.0", "--out", tmp_path / "out") == 0
    entry = json.loads((tmp_path / "out" / "detections.json").read_text())["images"][0]
    assert entry["detections"] == [] and 0.1 < entry["best_score"] < 1
    said = capsys.readouterr().out
    assert "0 detections on 0 of 1 images" in said and f"best score: {entry['best_score']:.3f} in {image}" in said
    with Image.open(tmp_path / "out" / "x.jpg") as picture:
        assert np.abs(np.asarray(picture).astype(int) - np.asarray(Image.open(image)).astype(int)).mean() < 10


def test_a_checkpoint_file_has_its_predictions_beside_it(run_folder, tmp_path):
    assert predict(run_folder / "model.safetensors", write_image(tmp_path / "x.png")) == 0
    assert (run_folder / "predictions" / "x.jpg").exists()


def test_earlier_results_are_not_taken_for_images(run_folder, tmp_path):
    write_image(tmp_path / "data" / "x.png")
    for _ in range(2):
        assert predict(run_folder, tmp_path / "data", "--out", tmp_path / "data" / "out") == 0
    content = json.loads((tmp_path / "data" / "out" / "detections.json").read_text())
    assert len(content["images"]) == 1


def test_a_bad_image_is_named_and_nothing_is_written(run_folder, tmp_path, capsys):
    write_image(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "b.png").write_bytes((tmp_path / "data" / "a.png").read_bytes()[:500])
    assert predict(run_folder, tmp_path / "data") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert str(tmp_path / "data" / "b.png") in last and "Traceback" not in last
    assert not (run_folder / "predictions").exists()


def test_an_input_is_never_overwritten(run_folder, tmp_path, capsys):
    image = write_image(tmp_path / "data" / "x.jpg")
    before = image.read_bytes()
    assert predict(run_folder, image, "--out", tmp_path / "data") == 2
    assert "overwrite" in capsys.readouterr().err
    assert image.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/run"], "no image given"),
        (["{tmp}/run", "{tmp}/none.png"], "none.png: no such"),
        (["{tmp}/run", "{tmp}/run"], "no image in this folder"),
        (["{tmp}/none", "{tmp}/x.png"], "no such run folder"),
        (["{tmp}/run", "{tmp}/x.png", "--score", "1.5"], "--score 1.5"),
        (["{tmp}/run", "{tmp}/x.png", "--out", "{tmp}/x.png"], "--out"),
    ],
)
def test_bad_input_is_one_line_and_status_2(run_folder, tmp_path, capsys, arguments, message):
    write_image(tmp_path / "x.png")
    assert predict(*[argument.format(tmp=tmp_path) for argument in arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (run_folder / "predictions").exists()


def test_picture_names_never_meet(tmp_path):
    images = [tmp_path / name for name in ("a/x.png", "b/x.png", "c/x_2.png", "d/x.tif", "x_2_2.png")]
    paths = picture_paths(images, tmp_path / "out")
    assert len(set(paths)) == 5
    assert paths[0] == tmp_path / "out" / "x.jpg"
