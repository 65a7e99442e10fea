"""Checkpoints hold all that detecting needs; anything else is refused in one line."""

import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from fasterfpn.engine.checkpoint import BEST, LAST, load_detector, read_checkpoint, save_checkpoint
from fasterfpn.engine.config import PRESETS, Config, config_from_json, config_to_json
from fasterfpn.engine.initial_weights import load_initial_weights
from fasterfpn.errors import InputError
from fasterfpn.models.detector import build_detector

SMALL = PRESETS["small"]
TINY = dataclasses.replace(
    SMALL,
    model=dataclasses.replace(
        SMALL.model,
        backbone=dataclasses.replace(SMALL.model.backbone, width=16, pyramid_channels=16),
        box=dataclasses.replace(SMALL.model.box, box_hidden=16),
    ),
)
CLASSES = ("dent", "sçratch")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A detector and its checkpoint."""
    path = tmp_path_factory.mktemp("run") / BEST
    detector = build_detector(TINY.model, CLASSES, seed=3).eval()
    save_checkpoint(path, detector, TINY, step=12)
    return detector, path


def test_a_checkpoint_alone_is_enough_to_detect(saved):
    detector, path = saved
    image = torch.rand(3, 80, 96, generator=torch.Generator().manual_seed(0))
    loaded = load_detector(path)
    assert loaded.classes == CLASSES and not loaded.training and loaded.config == TINY.model
    (mine,), (theirs,) = detector([image]), loaded([image])
    assert all(torch.equal(mine[name], theirs[name]) for name in ("boxes", "labels", "scores"))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    checkpoint = read_checkpoint(path.parent)
    assert checkpoint.step == 12 and checkpoint.config == TINY


def test_a_run_folder_gives_its_best_else_its_last(saved, tmp_path):
    detector, _ = saved
    save_checkpoint(tmp_path / LAST, detector, TINY, step=1)
    assert read_checkpoint(tmp_path).step == 1
    save_checkpoint(tmp_path / BEST, detector, TINY, step=2)
    assert read_checkpoint(tmp_path).step == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST, BEST]  # nothing partial is left


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    detector = build_detector(TINY.model, CLASSES)
    detector.box_head.body.fc6.weight.data[3, 5] = math.nan
    with pytest.raises(FloatingPointError, match=r"box_head\.body\.fc6\.weight"):
        save_checkpoint(tmp_path / BEST, detector, TINY, step=1)
    assert list(tmp_path.iterdir()) == []


@given(st.sampled_from(sorted(PRESETS)), st.floats(1e-6, 1), st.integers(1, 64))
def test_configurations_survive_json(preset, rate, batch):
    config = PRESETS[preset]
    config = Config(
        model=config.model,
        data=config.data,
        training=dataclasses.replace(config.training, learning_rate=rate, batch_size=batch, minutes=1.5, steps=None),
    )
    assert config_from_json(config_to_json(config), "x") == config


def edited(path, target, **changes):
    """A copy of the checkpoint with other metadata (None: without that entry)."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata() | changes
    save_file(load_file(path), target, {name: value for name, value in metadata.items() if value is not None})
    return target


def other_config(**changes):
    content = json.loads(config_to_json(TINY))
    for name, value in changes.items():
        content["model"]["backbone"][name] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a checkpoint of this program"),
        ({"classes": None}, "class names or step are damaged"),
        ({"classes": "[]"}, "class names are damaged"),
        ({"classes": "[1, 2]"}, "class names are damaged"),
        ({"step": "many"}, "class names or step are damaged"),
        ({"config": "{"}, "configuration does not fit"),
        ({"config": "[]"}, "configuration does not fit"),
        ({"config": other_config(surprise=1)}, "configuration does not fit"),
        ({"config": other_config(norm="nothing")}, "configuration does not fit"),
        ({"config": other_config(width=7)}, "configuration does not fit"),
        ({"config": other_config(width="wide")}, "configuration does not fit"),
        ({"config": other_config(width=32)}, "do not fit its own configuration"),
    ],
)
def test_damaged_metadata_is_refused_in_one_line(saved, tmp_path, changes, message):
    path = edited(saved[1], tmp_path / "damaged.safetensors", **changes)
    with pytest.raises(InputError, match=message) as caught:
        load_detector(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"\x80\x04K\x01."])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_detector(path)


def test_a_checkpoint_cut_short_is_refused(saved, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(saved[1].read_bytes()[:-100])
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_detector(path)


def test_missing_runs_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        load_detector(tmp_path / "absent")
    with pytest.raises(InputError, match="give a run folder"):
        load_detector(tmp_path)


def test_an_earlier_run_gives_weights_and_its_predictor_only_for_the_same_classes(saved):
    earlier, path = saved
    same = build_detector(TINY.model, CLASSES, seed=9)
    report = load_initial_weights(same, str(path))
    assert not report.skipped and not report.missing
    assert torch.equal(same.box_head.logits.weight, earlier.box_head.logits.weight)

    swapped = build_detector(TINY.model, CLASSES[::-1], seed=9)
    before = swapped.box_head.logits.weight.clone()
    report = load_initial_weights(swapped, str(path.parent))
    assert torch.equal(swapped.box_head.logits.weight, before)
    assert torch.equal(swapped.backbone.conv1.weight, earlier.backbone.conv1.weight)
    assert {name.rsplit(".", 1)[0] for name in report.skipped} == {"box_head.logits", "box_head.deltas"}
