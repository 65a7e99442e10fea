"""Laws of reading, taking and giving back weights."""

import re
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasterfpn.errors import InputError
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.models.resnet import ResNet
from fasterfpn.models.weights import load_torchvision, to_torchvision

NORMS = ("frozen_batch", "batch", "group")


def small_config(norm="frozen_batch", depth=10, width=16):
    backbone = BackboneConfig(depth=depth, width=width, norm=norm, pyramid_channels=8)
    return DetectorConfig(backbone=backbone, box=BoxHeadConfig(pool_size=2, box_hidden=8))


def small_detector(norm="frozen_batch", classes=2, seed=0, **sizes):
    """A tiny detector whose every entry, norms and statistics included, is random."""
    torch.manual_seed(seed)
    detector = Detector(small_config(norm, **sizes), [f"class {index}" for index in range(classes)])
    with torch.no_grad():
        for name, value in detector.state_dict().items():
            counter = name.endswith("num_batches_tracked")
            value.copy_(torch.tensor(seed + 1) if counter else torch.rand(value.shape) + 0.5)
    return detector


@cache
def donor(norm="frozen_batch"):
    return small_detector(norm, seed=1)


def early(state):
    """The names of torchvision's first releases, as in its COCO file."""
    inner = re.compile(r"(?:(_blocks\.\d)\.0|(rpn\.head\.conv)\.0\.0)(?=\.(weight|bias))")
    return {inner.sub(lambda found: found[1] or found[2], key): value for key, value in state.items()}


def snapshot(detector):
    return {name: value.clone() for name, value in detector.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("rename", [dict, early], ids=["today's names", "early names"])
def test_round_trip(norm, rename):
    given_away = rename(to_torchvision(donor(norm)))
    detector = small_detector(norm)
    report = load_torchvision(detector, given_away)
    assert same(detector.state_dict(), donor(norm).state_dict())
    assert (set(report.taken), report.skipped, report.missing) == (set(given_away), {}, ())
    assert same(to_torchvision(detector), to_torchvision(donor(norm)))


def test_early_names_are_those_of_the_released_file():
    # Keys of fasterrcnn_resnet50_fpn_coco-258fb6c6.pth, by torchvision's own upgrade rules.
    names = set(early(to_torchvision(donor())))
    assert {"backbone.fpn.inner_blocks.0.weight", "backbone.fpn.layer_blocks.3.bias", "rpn.head.conv.weight"} <= names
    assert {"backbone.body.layer1.0.conv1.weight", "roi_heads.box_head.fc6.weight", "rpn.head.cls_logits.bias"} <= names


def test_own_layout_is_taken_too():
    detector = small_detector()
    report = load_torchvision(detector, donor().state_dict())
    assert same(detector.state_dict(), donor().state_dict()) and not report.skipped and not report.missing


@given(st.sets(st.sampled_from(sorted(to_torchvision(small_detector("batch")))), min_size=1), st.booleans())
@settings(max_examples=20)
def test_every_entry_is_accounted_for(keys, spoil):
    """Of any part of a state dict: taken or skipped, never both; what was not taken keeps its value."""
    state = {key: value for key, value in to_torchvision(donor("batch")).items() if key in keys}
    if spoil:
        state |= {"unknown.weight": torch.zeros(1), "epoch": 3, "rpn.head.bbox_pred.weight": torch.zeros(1, 2, 3)}
    detector = small_detector("batch")
    before = snapshot(detector)
    try:
        report = load_torchvision(detector, state)
    except InputError:  # nothing but scales of norms without their statistics
        fitting = keys - {"rpn.head.bbox_pred.weight"} if spoil else keys
        assert all(".bn" in key or "downsample.1" in key for key in fitting) and not any("mean" in k for k in fitting)
        assert same(detector.state_dict(), before)
        return
    assert set(report.taken) | set(report.skipped) == set(state)
    assert not set(report.taken) & set(report.skipped)
    after = detector.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == set(before) - set(report.missing)
    theirs = to_torchvision(detector)
    assert all(torch.equal(theirs[key], state[key]) for key in report.taken)
    if spoil:
        assert {"unknown.weight", "epoch", "rpn.head.bbox_pred.weight"} <= set(report.skipped)
        assert "(1, 2, 3)" in report.skipped["rpn.head.bbox_pred.weight"]


def test_classifier_gives_the_backbone_alone():
    resnet = ResNet(small_config("batch").backbone, classes=5)
    detector = small_detector()
    before = snapshot(detector)
    report = load_torchvision(detector, resnet.state_dict())
    backbone = {name for name in before if name.startswith("backbone.")}
    assert set(report.missing) == set(before) - backbone
    assert {key for key in report.skipped if not key.endswith("num_batches_tracked")} == {"fc.weight", "fc.bias"}
    for key in report.taken:
        assert torch.equal(detector.state_dict()[f"backbone.{key}"], resnet.state_dict()[key])
    assert "classifier" in report.skipped["fc.weight"] and "fc.weight" in str(report)


def test_predictor_of_other_classes_starts_anew():
    detector = small_detector(classes=4)
    before = snapshot(detector)
    report = load_torchvision(detector, to_torchvision(donor()))
    predictor = {"box_head.logits.weight", "box_head.logits.bias", "box_head.deltas.weight", "box_head.deltas.bias"}
    assert set(report.missing) == predictor and len(report.skipped) == 4
    assert all("classes" in why for why in report.skipped.values())
    assert all(torch.equal(detector.state_dict()[name], before[name]) for name in predictor)


@pytest.mark.parametrize("source", ["frozen_batch", "batch"])
def test_group_norm_takes_no_batch_norm(source):
    detector = small_detector("group")
    before = snapshot(detector)
    report = load_torchvision(detector, to_torchvision(donor(source)))
    norms = {name for name in before if ".bn" in name or ".downsample.1." in name}
    assert norms and set(report.missing) == norms
    assert all("norm" in why for why in report.skipped.values())
    assert sum(key.endswith("running_var") for key in report.skipped) == len(norms) / 2


def test_batch_norm_takes_no_group_norm():
    report = load_torchvision(small_detector("batch"), to_torchvision(donor("group")))
    assert report.skipped and all(".bn" in key or ".downsample.1." in key for key in report.skipped)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "no tensors at all"),
        ({"epoch": 3}, "no tensors at all"),
        ({"unknown.weight": torch.zeros(3)}, "entries such as unknown.weight"),
        ({"blocks.0.attn.qkv.weight": torch.zeros(3)}, "look like a vision transformer"),
        ({"backbone.bottom_up.res2.0.conv1.weight": torch.zeros(3)}, "look like a detectron2 model"),
        ({"model.0.conv.weight": torch.zeros(3)}, "look like a YOLO"),
        # Convolutions would fit, the frozen norms would stay bare:
        (to_torchvision(donor("group")), "no statistics of batch norm at all; norm group"),
        (
            {key: value for key, value in to_torchvision(donor()).items() if key != "backbone.body.bn1.running_var"},
            "the file lacks or spoils them",
        ),
        (
            to_torchvision(small_detector()) | {"backbone.body.layer1.0.bn2.weight": torch.zeros(1)},
            "the file lacks or spoils them",
        ),
        (to_torchvision(small_detector(width=32)), "a ResNet-10 of width 32; .* that depth and width"),
        (ResNet(BackboneConfig(depth=50, width=16, norm="batch")).state_dict(), "a ResNet-50 of width 16"),
    ],
    ids=["empty", "none", "unknown", "vit", "detectron2", "yolo", "group", "missing", "shape", "width", "depth"],
)
def test_what_does_not_fit_is_refused_and_the_message_says_what_it_looks_like(state, words):
    detector = small_detector()
    before = snapshot(detector)
    with pytest.raises(InputError, match=words) as caught:
        load_torchvision(detector, state)
    assert same(detector.state_dict(), before)
    assert "--" not in str(caught.value) and ("that depth" in str(caught.value)) <= ("width" in words or "50" in words)


PREFIXES = ["backbone.0.body.", "module.", "_orig_mod.", "model.", "module.model.", "encoder_q.", "net.backbone_model."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("layout", ["torchvision", "own", "classifier"])
def test_prefixes_of_wrappers_are_stripped_and_named(prefix, layout):
    resnet = ResNet(small_config("batch").backbone, classes=5)
    state = {"torchvision": to_torchvision(donor()), "own": donor().state_dict(), "classifier": resnet.state_dict()}
    wrapped = {f"{prefix}{key}": value for key, value in state[layout].items()} | {"criterion.weight": torch.ones(5)}
    ours, plain = small_detector(), small_detector()
    report, expected = load_torchvision(ours, wrapped), load_torchvision(plain, state[layout])
    assert same(ours.state_dict(), plain.state_dict())
    assert report.taken == tuple(prefix + key for key in expected.taken)
    assert report.skipped.keys() == {prefix + key for key in expected.skipped} | {"criterion.weight"}
    assert report.prefix == prefix and repr(prefix) in str(report) and expected.prefix == ""


@pytest.mark.parametrize("wrapper", ["model_state_dict", "state_dict", "model", "net", "ema"])
def test_a_state_dict_among_other_things_is_looked_up(wrapper):
    inner = {f"module.{key}": value for key, value in to_torchvision(donor()).items()}
    optimiser = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    detector = small_detector()
    report = load_torchvision(detector, {"epoch": 3, wrapper: inner, "optimizer": optimiser})
    assert same(detector.state_dict(), donor().state_dict()) and report.missing == ()
    assert report.prefix == f"{wrapper}.module."
    assert report.skipped.keys() == {"epoch", "optimizer.state.0.exp_avg", "optimizer.param_groups"}


def test_of_two_networks_the_first_counts():
    first, second = to_torchvision(donor()), to_torchvision(small_detector(seed=5))
    detector = small_detector()
    report = load_torchvision(detector, {"model": first, "model_ema": second})
    assert same(detector.state_dict(), donor().state_dict())
    assert set(report.skipped.values()) == {"outside of 'model.'"}


def test_report_reads_well():
    state = to_torchvision(donor("batch")) | {f"mask_head.{index}.weight": torch.zeros(1) for index in range(9)}
    lines = str(load_torchvision(small_detector("group", classes=4), state)).splitlines()
    assert lines[0].startswith("weights: ") and "taken" in lines[0]
    assert len(lines) <= 8 and max(map(len, lines)) < 200
    assert "9 (mask_head.0.weight, mask_head.1.weight, ...): no counterpart" in "\n".join(lines)
