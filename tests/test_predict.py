"""`python -m fasterfpn.predict`: pictures and detections.json, or one line that names what is wrong."""

import json
import os
import resource
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fasterfpn import build_detector
from fasterfpn import predict as command
from fasterfpn.cli import LARGEST_JPEG, checked_device, picture_paths, run, save_picture
from fasterfpn.engine.checkpoint import save_checkpoint
from fasterfpn.engine.config import SMALL
from fasterfpn.errors import InputError
from fasterfpn.predict import main

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


def detections(folder):
    return json.loads((folder / "detections.json").read_text())


def test_bad_images_are_listed_at_the_end_and_the_good_ones_are_done(run_folder, tmp_path, capsys):
    good = [write_image(tmp_path / "data" / name) for name in ("a.png", "d.png")]
    bad = [tmp_path / "data" / name for name in ("b.png", "c.jpg")]
    bad[0].write_bytes(good[0].read_bytes()[:500])
    bad[1].write_bytes(b"")
    assert predict(run_folder, tmp_path / "data", tmp_path / "run" / "model.safetensors") == 1
    error = capsys.readouterr().err
    *_, heading, first, second, third = error.splitlines()
    assert heading == "3 of 5 images were left out:" and "Traceback" not in error
    assert str(bad[0]) in first and str(bad[1]) in second and "model.safetensors" in third
    content = detections(run_folder / "predictions")
    assert [entry["image"] for entry in content["images"]] == [str(image) for image in good]
    assert content["images_given"] == 5 and set(content["failed"]) >= {str(image) for image in bad}


def test_a_folder_of_bad_images_leaves_an_empty_list(run_folder, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"no image")
    assert predict(run_folder, tmp_path / "data") == 1
    assert "0 of 0 images" in capsys.readouterr().out
    assert detections(run_folder / "predictions")["images"] == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_keeps_what_was_done(run_folder, tmp_path, capsys, monkeypatch, number, status):
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / "data" / name)
    whole = command.predict_one

    def stopped_at_the_second(detector, image, picture, score):
        if image.name == "b.png":
            os.kill(os.getpid(), number)
        return whole(detector, image, picture, score)

    monkeypatch.setattr(command, "predict_one", stopped_at_the_second)
    before = signal.getsignal(signal.SIGTERM)
    assert predict(run_folder, tmp_path / "data") == status
    assert signal.getsignal(signal.SIGTERM) == before
    assert "stopped after 1 of 3 images" in capsys.readouterr().err
    content = detections(run_folder / "predictions")
    assert len(content["images"]) == 1 and content["images_given"] == 3
    assert {path.name for path in (run_folder / "predictions").iterdir()} == {"a.jpg", "detections.json"}


@pytest.mark.parametrize("out", ["data/out", "data/../data/out", "link/out"])
def test_earlier_results_are_excluded_however_out_is_written(run_folder, tmp_path, monkeypatch, out):
    write_image(tmp_path / "data" / "x.png")
    (tmp_path / "link").symlink_to("data")
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / "data", "data", ".", "link"):
        assert predict("run", given, "--out", out) == 0
        assert len(detections(tmp_path / "data" / "out")["images"]) == 1


def test_results_may_lie_in_a_folder_above_the_images(run_folder, tmp_path):
    write_image(tmp_path / "data" / "x.png")
    assert predict(run_folder, tmp_path / "data", "--out", tmp_path) == 0
    assert len(detections(tmp_path)["images"]) == 1


def test_other_files_of_a_folder_are_counted_and_named(run_folder, tmp_path, capsys):
    write_image(tmp_path / "data" / "x.png")
    for name in ("a.xyz", "b.xyz", "c.xyz", "d.xyz", "notes.TXT", "README", ".hidden"):
        (tmp_path / "data" / name).touch()
    assert predict(run_folder, tmp_path / "data") == 0
    lines = capsys.readouterr().err.splitlines()
    counted = "1 .txt (notes.TXT), 4 .xyz (a.xyz, b.xyz, c.xyz, ...), 1 without a suffix (README)"
    assert f"{tmp_path / 'data'}: passed over {counted}" in lines


def test_names_that_are_not_utf8_or_very_long(run_folder, tmp_path, capfd):
    names = [os.fsdecode(b"\xff\xe9.png"), "裂" * 83 + "aa.png", "x" * 251 + ".png", "detections.json.png"]
    for name in names:
        write_image(tmp_path / "data" / "x.png").rename(tmp_path / "data" / name)
        write_image(tmp_path / "more" / "x.png").rename(tmp_path / "more" / name)
    (tmp_path / "data" / os.fsdecode(b"\xfe.png")).touch()
    assert predict(run_folder, tmp_path / "data", tmp_path / "more", "--score", "1") == 1
    content = detections(run_folder / "predictions")
    pictures = {entry["picture"] for entry in content["images"]}
    assert len(pictures) == 8 and all((run_folder / "predictions" / name).is_file() for name in pictures)


def test_what_jpeg_cannot_hold_becomes_png(tmp_path):
    for size, suffix in ((LARGEST_JPEG, ".jpg"), (LARGEST_JPEG + 1, ".png")):
        saved = save_picture(Image.new("RGB", (size, 1)), tmp_path / "a.b.jpg")
        assert saved == tmp_path / f"a.b{suffix}"
        with Image.open(saved) as picture:
            assert picture.size == (size, 1)
    with Image.open(save_picture(Image.new("RGB", (9, 1)), tmp_path / "c.PNG")) as picture:
        assert picture.format == "PNG"


def test_a_full_disk_ends_in_one_line(run_folder, tmp_path, capsys):
    """A limit on the size of files: a write that crosses it is short, which Pillow would not report."""
    image = write_image(tmp_path / "x.png")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert predict(run_folder, image, "--score", "1") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    error = capsys.readouterr().err.splitlines()
    assert "x.jpg: cannot be written (File too large)" in error[-1] and "stopped after 0 of 1 images" in error[-2]
    assert {path.name for path in (run_folder / "predictions").iterdir()} == {"detections.json"}


@pytest.mark.parametrize("threads", ["0", "-3", "100000"])
def test_threads_out_of_range(run_folder, tmp_path, capsys, threads):
    assert predict(run_folder, tmp_path, "--threads", threads) == 2
    assert f"--threads {threads}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["meta", "cuda:77", "abacus", "", "cpu:x"])
def test_devices_that_are_not_there(name):
    with pytest.raises(InputError, match="--device"):
        checked_device(name)


def test_an_input_is_never_overwritten(run_folder, tmp_path, capsys):
    image = write_image(tmp_path / "data" / "x.jpg")
    before = image.read_bytes()
    assert predict(run_folder, image, "--out", tmp_path / "data") == 2
    assert "might be overwritten" in capsys.readouterr().err
    assert image.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/run"], "no image given"),
        (["{tmp}/run", "{tmp}/none.png"], "none.png: no such"),
        (["{tmp}/run", "{tmp}/run"], "no image in this folder"),
        (["{tmp}/none", "{tmp}/x.png"], "no such run folder"),
        (["{tmp}/run", "{tmp}/x.png", "--score", "1.5"], "--score 1.5"),
        (["{tmp}/run", "{tmp}/x.png", "--score", "nan"], "--score nan"),
        (["{tmp}/run", "{tmp}/film.mp4"], "film.mp4: is a video"),
        (["{tmp}/run", "/dev/null"], "neither a file nor a folder"),
        (["{tmp}/begun", "{tmp}/x.png"], "saved no weights yet"),
        (["{tmp}/run", "{tmp}/x.png", "--out", "{tmp}/x.png"], "--out"),
    ],
)
def test_bad_input_is_one_line_and_status_2(run_folder, tmp_path, capsys, arguments, message):
    write_image(tmp_path / "x.png")
    (tmp_path / "film.mp4").touch()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text("{}")
    assert predict(*[argument.format(tmp=tmp_path) for argument in arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (run_folder / "predictions").exists()


def test_picture_names_never_meet(tmp_path):
    images = [tmp_path / name for name in ("a/x.png", "b/x.png", "c/x_2.png", "d/x.tif", "x_2_2.png")]
    paths = picture_paths(images, tmp_path / "out")
    assert len(set(paths)) == 5
    assert paths[0] == tmp_path / "out" / "x.jpg"
