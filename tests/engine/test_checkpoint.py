"""Checkpoints hold all that detecting needs; anything else is refused in one line."""

import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.engine.checkpoint import load_detector, read_checkpoint, save_checkpoint
from fasterfpn.engine.config import PRESETS, Config, config_from_record, config_record
from fasterfpn.engine.initial_weights import is_checkpoint, load_initial_weights
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tensor_file import HEADER
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
    data=DataConfig(data="folder"),
)
CLASSES = ("dent", "sçratch")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A detector and its checkpoint."""
    path = RunFolder(tmp_path_factory.mktemp("run")).best
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
    save_checkpoint(RunFolder(tmp_path).last, detector, TINY, step=1)
    assert read_checkpoint(tmp_path).step == 1
    save_checkpoint(RunFolder(tmp_path).best, detector, TINY, step=2)
    assert read_checkpoint(tmp_path).step == 2
    assert {path.name for path in tmp_path.iterdir()} == {"last.safetensors", "model.safetensors"}  # nothing partial


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    detector = build_detector(TINY.model, CLASSES)
    detector.box_head.body.fc6.weight.data[3, 5] = math.nan
    with pytest.raises(FloatingPointError, match=r"box_head\.body\.fc6\.weight"):
        save_checkpoint(RunFolder(tmp_path).best, detector, TINY, step=1)
    assert list(tmp_path.iterdir()) == []


@given(st.sampled_from(sorted(PRESETS)), st.floats(1e-6, 1) | st.just(1), st.integers(1, 64), st.integers(1, 9))
def test_configurations_survive_json_and_equal_ones_give_equal_text(preset, rate, batch, epochs):
    config = PRESETS[preset]
    training = dataclasses.replace(config.training, learning_rate=rate, batch_size=batch, epochs=epochs)
    config = Config(model=config.model, data=config.data, training=training)
    text = json.dumps(config_record(config))
    assert config_from_record(json.loads(text), "x") == config
    other = dataclasses.replace(config, training=dataclasses.replace(training, epochs=float(epochs)))
    assert (
        json.dumps(config_record(other)) == text == json.dumps(config_record(config_from_record(json.loads(text), "x")))
    )


def test_equal_checkpoints_have_equal_bytes_and_the_mode_of_other_files(saved, tmp_path):
    detector, path = saved
    config = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, epochs=6.0))
    save_checkpoint(tmp_path / "again.safetensors", detector, config, step=12)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "again.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def edited(path, target, **changes):
    """A copy of the checkpoint with other entries in its header (None: without that entry)."""
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()[HEADER]) | changes
    header = {name: value for name, value in header.items() if value is not None}
    save_file(load_file(path), target, {HEADER: json.dumps(header)})
    return target


def other_config(version=2, **changes):
    content = config_record(TINY) | {"format_version": version}
    content["model"] = content["model"] | {"backbone": content["model"]["backbone"] | changes}
    return content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a checkpoint of this program"),
        ({"classes": None}, "class names or its step are damaged"),
        ({"classes": []}, "class names or its step are damaged"),
        ({"classes": [1, 2]}, "class names or its step are damaged"),
        ({"step": "many"}, "class names or its step are damaged"),
        ({"step": None}, "class names or its step are damaged"),
        ({"config": "{"}, "configuration does not fit"),
        ({"config": []}, "configuration does not fit"),
        ({"config": None}, "configuration does not fit"),
        ({"config": other_config(version=3)}, "format_version 3 needs a newer fasterfpn: this one reads up to 2"),
        ({"config": other_config(version="x")}, "format_version x needs a newer"),
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


def before_versions(path, target, **model):
    """A copy of the checkpoint as it was written before there was a format_version."""
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()[HEADER])
    config = {name: value for name, value in header["config"].items() if name != "format_version"}
    config["model"] = config["model"] | {"torchvision_compat": False} | model
    metadata = {"format": "fasterfpn", "config": json.dumps(config), "classes": json.dumps(CLASSES), "step": "12"}
    save_file(load_file(path), target, metadata)
    return target


def test_a_checkpoint_from_before_versions_loads(saved, tmp_path):
    detector, path = saved
    checkpoint = read_checkpoint(before_versions(path, tmp_path / "old.safetensors"))
    assert checkpoint.config == TINY and checkpoint.classes == CLASSES and checkpoint.step == 12
    assert torch.equal(checkpoint.weights["backbone.conv1.weight"], detector.backbone.conv1.weight)
    assert is_checkpoint(tmp_path / "old.safetensors") and is_checkpoint(path)


def test_the_switch_torchvision_compat_becomes_the_values_it_stood_for(saved, tmp_path):
    old = read_checkpoint(before_versions(saved[1], tmp_path / "old.safetensors", torchvision_compat=True)).config
    asked = TINY.model
    assert old.data == TINY.data and old.training == TINY.training
    assert old.model.image == dataclasses.replace(asked.image, pad_multiple=32)
    assert old.model.scale == dataclasses.replace(asked.scale, anchors_rounded=True, anchor_strides_measured=True)
    proposals = {"rpn_pre_nms_train": 2000, "rpn_pre_nms_test": 1000, "rpn_keep_train": 2000, "rpn_keep_test": 1000}
    assert old.model.rpn == dataclasses.replace(asked.rpn, rpn_beta=1 / 9, rpn_every_tie=True, **proposals)
    assert old.model.box == dataclasses.replace(
        asked.box, box_beta=1 / 9, box_weights=(10.0, 10.0, 5.0, 5.0), score_threshold=0.05, max_detections=100
    )
    assert old.model.backbone == asked.backbone


def test_conv4_proposes_as_many_as_before():
    record = config_record(Config()) | {"format_version": 1}
    record["model"] = record["model"] | {"architecture": "conv4", "torchvision_compat": False}
    rpn = config_from_record(record, "x").model.rpn
    assert (rpn.rpn_pre_nms_train, rpn.rpn_pre_nms_test) == (400, 200)  # for each of five areas
    assert rpn.rpn_keep_train == Config().model.rpn.rpn_keep_train and record["format_version"] == 1


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


def test_a_run_on_the_first_built_in_images_does_not_meet_others_in_their_place():
    """They were called "synthetic", as today's are."""
    record = config_record(PRESETS["small"])
    del record["format_version"]
    config = config_from_record(record, "x")
    assert config.data != PRESETS["small"].data
    with pytest.raises(InputError, match=r"trained on the built-in images of fasterfpn 0\.1, .* give other data"):
        open_source(config.data)
