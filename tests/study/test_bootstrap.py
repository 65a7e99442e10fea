"""The bootstrap over images: its first sample is average precision itself, and drawing an image twice is two images."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasterfpn.engine.average_precision import EVERY_SIDE, average_precision
from fasterfpn.study.bootstrap import ap_samples, image_counts, with_interval

CLASSES = 2


@st.composite
def scenes(draw):
    """Detections and targets of some images, no two detections with the same score, boxes on a coarse grid."""
    images = draw(st.integers(1, 4))
    detections, targets = [], []
    used = iter(draw(st.permutations(range(1, 17))))
    for _ in range(images):
        cell = st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 3)] * 2)
        found, truth = (draw(st.lists(st.tuples(cell, st.integers(1, CLASSES)), max_size=4)) for _ in range(2))
        detections.append(
            {**labelled(found), "scores": torch.tensor([next(used) / 20 for _ in found], dtype=torch.float32)}
        )
        targets.append(labelled(truth))
    return detections, targets


def labelled(objects):
    boxes = [[4.0 * x, 4.0 * y, 4.0 * (x + w), 4.0 * (y + h)] for (x, y, w, h), _ in objects]
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor([label for _, label in objects], dtype=torch.int64),
    }


@settings(max_examples=30)
@given(scenes(), st.lists(st.integers(0, 3), min_size=4, max_size=4), st.sampled_from([EVERY_SIDE, (4, 8), (8, 99)]))
def test_a_draw_is_the_average_precision_of_the_images_drawn(scene, times, sides):
    detections, targets = scene
    times = times[: len(targets)]
    counts = torch.tensor([[1] * len(targets), times], dtype=torch.float64)
    samples = ap_samples(detections, targets, CLASSES, counts, sides)
    for row, repeats in zip(samples, ([1] * len(targets), times), strict=True):
        drawn = [index for index, count in enumerate(repeats) for _ in range(count)]
        expected = average_precision(
            [detections[index] for index in drawn],
            [targets[index] for index in drawn],
            labels=range(1, CLASSES + 1),
            count_difficult=True,
            sides=sides,
        )
        torch.testing.assert_close(row.tolist(), list(expected["AP"].values()), equal_nan=True)
        mean = expected["mAP"]
        assert float(row.nanmean()) == pytest.approx(mean, nan_ok=True)


@given(st.integers(1, 30), st.integers(0, 5))
def test_every_draw_holds_as_many_images_as_there_are(images, seed):
    counts = image_counts(images, 20, seed)
    assert counts.shape == (21, images) and (counts[0] == 1).all()
    assert (counts.sum(1) == images).all() and (counts == image_counts(images, 20, seed)).all()


def test_the_interval_of_a_share_is_about_two_standard_errors_wide():
    """One image an object, 200 images, 60 % found by a detection that is right: AP is the share that is found."""
    box = torch.tensor([[0.0, 0, 10, 10]])
    targets = [{"boxes": box, "labels": torch.tensor([1])}] * 200
    hit = {"boxes": box, "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
    nothing = {"boxes": box[:0], "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)}
    detections = [hit if index < 120 else nothing for index in range(200)]
    entry = with_interval(ap_samples(detections, targets, 1, image_counts(200, 2000))[:, 0])
    error = 1.96 * math.sqrt(0.6 * 0.4 / 200)
    assert entry["value"] == pytest.approx(0.6)
    assert entry["low"] == pytest.approx(0.6 - error, abs=0.01)
    assert entry["high"] == pytest.approx(0.6 + error, abs=0.01)


def test_what_is_not_defined_has_no_interval():
    nan = torch.full((5,), math.nan)
    assert with_interval(nan) == {"value": None, "low": None, "high": None}
    assert with_interval(torch.tensor([1.0, math.nan, 0.5, 0.5])) == {"value": 1.0, "low": 0.5, "high": 0.5}
