"""`python -m fasterfpn.saliency`: a triptych an image, or one line that names what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fasterfpn import build_detector
from fasterfpn.cli import run
from fasterfpn.engine.checkpoint import save_checkpoint
from fasterfpn.engine.config import SMALL
from fasterfpn.report.heat import GAP, saliency_triptych
from fasterfpn.saliency import main

MODEL = replace(
    SMALL.model,
    image=replace(SMALL.model.image, image_min_side=32, image_max_side=64),
    backbone=replace(SMALL.model.backbone, width=16, pyramid_channels=16),
    box=replace(SMALL.model.box, box_hidden=16),
)


@pytest.fixture
def place(tmp_path):
    """A run of two classes and an image."""
    (tmp_path / "run").mkdir()
    detector = build_detector(MODEL, ("dent", "scratch"))
    save_checkpoint(tmp_path / "run" / "model.safetensors", detector, replace(SMALL, model=MODEL), step=1)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    return tmp_path


def command(*arguments):
    try:
        run(main, "saliency", [str(argument) for argument in arguments] + ["--device", "cpu"])
    except SystemExit as stopped:
        return stopped.code
    return 0


@pytest.mark.parametrize("options", [(), ("--class", "scratch", "--of", "loss"), ("--detection", "0")])
def test_image_map_and_overlay_stand_side_by_side(place, capsys, options):
    assert command(place / "run", place / "x.png", *options) == 0
    with Image.open(place / "run" / "saliency" / "x.jpg") as picture:
        pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (48, 3 * 64 + 2 * GAP, 3)
    original = np.asarray(Image.open(place / "x.png")).astype(int)
    assert np.abs(pixels[:, :64] - original).mean() < 12
    assert pixels[:, 64 + GAP : 128 + GAP].max() > 200  # something is bright
    said = capsys.readouterr().out
    assert "x.jpg" in said and ("scratch" in said or "--class" not in options)


def test_a_map_of_zeros_is_dark():
    picture = np.asarray(saliency_triptych(torch.ones(3, 20, 30), torch.zeros(20, 30)))
    assert picture[:, 30 + GAP : 60 + GAP].max() < 30


def test_an_image_without_that_detection_is_left_out(place, capsys):
    (place / "bad.png").write_bytes(b"no image")
    assert command(place / "run", place / "x.png", place / "bad.png", "--detection", "5000") == 1
    *_, first, second = capsys.readouterr().err.splitlines()
    assert "x.png: --detection 5000: the image has" in first and "bad.png" in second
    assert list((place / "run" / "saliency").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "rust"], "--class rust: the run knows dent, scratch"),
        (["--class", "dent", "--detection", "0"], "exclude each other"),
        (["--detection", "-1"], "--detection -1"),
        (["absent.png"], "absent.png: no such"),
        (["--of", "score"], "score"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(place, capsys, arguments, message):
    assert command(place / "run", place / "x.png", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (place / "run" / "saliency").exists()
