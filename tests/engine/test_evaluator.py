"""Running a detector over a data set, and the metrics of `evaluate --json`."""

import itertools
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fasterfpn.engine.evaluator import detect_all, same_size_batches, summary, summary_table, without_nan


class Images:
    """Images of given widths; the target says which one it is."""

    def __init__(self, widths):
        self.widths = widths

    def __len__(self):
        return len(self.widths)

    def __getitem__(self, index):
        return torch.full((3, 4, self.widths[index]), index / 100), {"labels": torch.tensor([index])}


class Echo(nn.Module):
    """Answers each image with its first pixel as a score; notes the mode it was called in."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.modes = []

    def forward(self, images):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return [{"scores": image[0, 0, :1] + self.weight} for image in images]


@given(st.lists(st.sampled_from([4, 5]), max_size=12), st.integers(1, 4))
def test_batches_hold_each_image_once_in_order_and_one_size_each(widths, batch_size):
    batches = list(same_size_batches(Images(widths), batch_size))
    assert [int(target["labels"]) for _, targets in batches for target in targets] == list(range(len(widths)))
    for images, targets in batches:
        assert 1 <= len(images) == len(targets) <= batch_size
        assert len({image.shape for image in images}) == 1
    for (before, _), (after, _) in itertools.pairwise(batches):
        assert len(before) == batch_size or before[0].shape != after[0].shape


@pytest.mark.parametrize("training", [True, False])
def test_detecting_leaves_the_mode_and_the_order_alone(training):
    detector = Echo().train(training)
    detections, targets = detect_all(detector, Images([4, 4, 5, 4, 4]), batch_size=3, progress=False)
    assert [float(found["scores"]) for found in detections] == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])
    assert [int(target["labels"]) for target in targets] == [0, 1, 2, 3, 4]
    assert set(detector.modes) == {(False, False)}
    assert detector.training is training


def test_the_progress_bar_counts_images(capsys):
    detect_all(Echo(), Images([4] * 5), batch_size=2)
    assert "5/5" in capsys.readouterr().err


def scene():
    """Class "dent": a plain box that is found and a difficult one that is not; "scratch" never occurs."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    target = {"boxes": boxes, "labels": torch.tensor([2, 2]), "difficult": torch.tensor([False, True])}
    found = {"boxes": boxes[:1], "labels": torch.tensor([2]), "scores": torch.tensor([0.9])}
    return [found], [target]


def test_summary_counts_difficult_boxes_in_its_main_metrics_only():
    metrics = summary(*scene(), classes=("scratch", "dent"))
    assert (metrics["iou_threshold"], metrics["images"]) == (0.5, 1)
    assert (metrics["objects"], metrics["difficult_objects"]) == (2, 1)
    assert metrics["objects_by_class"] == {"scratch": 0, "dent": 2}
    assert metrics["AP_area"]["dent"] == metrics["mAP_area"] == 0.5
    assert metrics["AP_11_point"]["dent"] == metrics["mAP_11_point"] == pytest.approx(6 / 11)
    assert metrics["mAP_area_without_difficult"] == metrics["mAP_11_point_without_difficult"] == 1.0
    assert math.isnan(metrics["AP_area"]["scratch"])


def test_json_has_null_where_a_class_has_no_objects():
    text = json.dumps(without_nan(summary(*scene(), classes=("scratch", "dent"))), allow_nan=False)
    assert json.loads(text)["AP_area"] == {"scratch": None, "dent": 0.5}


def test_no_images_give_no_metrics():
    metrics = summary([], [], classes=("dent",))
    assert (metrics["images"], metrics["objects"]) == (0, 0)
    assert math.isnan(metrics["mAP_area"])


def test_the_table_names_every_metric_once():
    detections, targets = scene()
    lines = summary_table(summary(detections, targets, ("scratch", "dent"))).splitlines()
    assert "IoU 0.5" in lines[0] and "1 images" in lines[0]
    assert lines[1].split("  ")[-1].strip() == "11-point, no difficult"
    assert [line.split() for line in lines[3:6]] == [
        ["scratch", "0", "-", "-", "-", "-"],
        ["dent", "2", "50.0", "54.5", "100.0", "100.0"],
        ["mean", "2", "50.0", "54.5", "100.0", "100.0"],
    ]
    targets[0]["difficult"][:] = False
    table = summary_table(summary(detections, targets, ("scratch", "dent")))
    assert table.splitlines()[4].split() == ["dent", "2", "50.0", "54.5"]
    assert "No object is marked difficult" in table


def test_nan_is_null_at_any_depth():
    nan = float("nan")
    assert without_nan({"a": [nan, {"b": nan}, (1.5, nan)], "c": nan}) == {
        "a": [None, {"b": None}, [1.5, None]],
        "c": None,
    }
