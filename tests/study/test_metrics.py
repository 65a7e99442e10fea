"""The report's metrics: bins in the network's pixels, gains of the right sign on the same draws, what is shown."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig, ImageConfig, RpnConfig
from fasterfpn.models.detector import build_detector
from fasterfpn.study.experiment import SCALES
from fasterfpn.study.metrics import (
    gain_metrics,
    network_metrics,
    saliency_by_class,
    saliency_metrics,
    short_side_edges,
    size_factors,
)

CLASSES = ("small", "large")
EDGES = (0, 4, 8, 16, 32, float("inf"))
SMALL_BOX, LARGE_BOX = [10.0, 10, 40, 20], [50.0, 50, 200, 90]  # shorter sides 10 and 40, in the network 5 and 20
IMAGES, DRAWS = 6, 100


def metrics_of(found):
    """Metrics of a network that finds, in each of the images, the small object or not, and the large one or not."""
    boxes = torch.tensor([SMALL_BOX, LARGE_BOX])
    targets = [{"boxes": boxes, "labels": torch.tensor([1, 2])}] * len(found)
    detections = []
    for number, kept in enumerate(found):
        keep = torch.tensor(kept)
        scores = torch.tensor([0.9, 0.8]) - 0.01 * number
        detections.append({"boxes": boxes[keep], "labels": torch.tensor([1, 2])[keep], "scores": scores[keep]})
    return network_metrics(detections, targets, [0.5] * len(found), CLASSES, EDGES, DRAWS)


def test_bins_are_in_the_networks_pixels_and_say_what_they_hold():
    metrics, _ = metrics_of([(True, False)] * IMAGES)
    assert [entry["objects"] for entry in metrics["by_short_side"]] == [0, IMAGES, 0, IMAGES, 0]
    assert [entry["objects_by_class"] for entry in metrics["by_short_side"]][1::2] == [
        {"small": IMAGES, "large": 0},
        {"small": 0, "large": IMAGES},
    ]
    assert [entry["AP"]["value"] for entry in metrics["by_short_side"]] == [None, 1, None, 0, None]
    assert metrics["AP"]["small"]["value"] == 1 and metrics["mAP"]["value"] == 0.5


def test_gains_are_the_better_minus_the_base():
    _, better = metrics_of([(True, True)] * IMAGES)
    _, base = metrics_of([(False, True)] * IMAGES)
    gains = gain_metrics(better, base, CLASSES)
    assert gains["mAP"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert [gains["AP"][kind]["value"] for kind in CLASSES] == [1, 0]
    assert [gain["value"] for gain in gains["by_short_side"]] == [None, 1, None, 0, None]
    assert gain_metrics(base, better, CLASSES)["mAP"]["value"] == -0.5


def test_both_networks_are_judged_on_the_same_draws():
    half = [(number % 2 == 0, True) for number in range(IMAGES)]
    (metrics, one), (_, other) = metrics_of(half), metrics_of(half)
    assert metrics["mAP"]["high"] - metrics["mAP"]["low"] > 0.1
    assert gain_metrics(one, other, CLASSES)["mAP"] == {"value": 0, "low": 0, "high": 0}


class Pictures:
    """Images of 80 x 120 with a single object each, but every third has two or a large one."""

    classes = CLASSES

    def __len__(self):
        return 12

    def __getitem__(self, index):
        boxes = [[10.0, 10, 22, 22]] if index % 3 else [[[10.0, 10, 22, 22]] * 2, [[0.0, 0, 120, 80]]][index % 2]
        image = torch.rand(3, 80, 120, generator=torch.Generator().manual_seed(index))
        return image, {"boxes": torch.tensor(boxes), "labels": torch.ones(len(boxes), dtype=torch.int64)}

    def targets(self, index):
        return self[index][1]

    def size(self, index):
        return 80, 120

    def image_name(self, index):
        return str(index)


MODEL = DetectorConfig(
    image=ImageConfig(image_min_side=40, image_max_side=128),
    backbone=BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=16),
    rpn=RpnConfig(rpn_keep_test=5),
    box=BoxHeadConfig(box_hidden=8),
)


def test_images_shrink_by_their_shorter_side():
    assert size_factors(Pictures(), MODEL) == [0.5] * 12


@pytest.mark.parametrize("count, names", [(40, "1 2 4 5 7 8 10 11"), (8, "1 2 4 5 7 8 10 11"), (3, "1 5 10")])
def test_saliency_is_measured_on_small_single_objects_over_the_whole_part(count, names):
    metrics = saliency_metrics(build_detector(MODEL, CLASSES, 1), Pictures(), 1, count)
    assert [entry["name"] for entry in metrics] == names.split()
    assert all(entry["class"] == "small" and entry["area"] == pytest.approx(144 / 9600) for entry in metrics)
    assert all(entry["trained"] == entry["random"] > 0 for entry in metrics)  # untrained, of the same seed


def test_saliency_is_summed_up_by_class_and_in_all():
    ratios = [("jet", 5.0, 2.0), ("jet", 4.9, 1.9), ("jet", 9.0, 0.0), ("crater", float("nan"), float("nan"))]
    metrics = [{"class": kind, "trained": trained, "random": random} for kind, trained, random in ratios]
    summary = saliency_by_class(metrics)
    assert summary["jet"] == {"images": 3, "trained": 5, "found": 2, "random": 1.9, "blind": 2}
    assert summary["crater"] == {"images": 1, "trained": 0, "found": 0, "random": 0, "blind": 1}
    assert list(summary) == ["jet", "crater", "all"] and summary["all"]["found"] == 2 and summary["all"]["images"] == 4
    assert saliency_by_class([]) == {}


@pytest.mark.parametrize("scale", SCALES)
def test_networks_differ_in_architecture_and_learning_rate_alone(scale):
    experiment = SCALES[scale]
    multiscale, single = (experiment.config(network, "data", 3) for network in ("multiscale", "single-scale"))
    assert multiscale.training == replace(single.training, learning_rate=multiscale.training.learning_rate)
    assert single.training.seed == 3 and single.data == multiscale.data
    assert (multiscale.model.architecture, single.model.architecture) == ("fpn", "conv4")
    assert single.model == replace(multiscale.model, architecture="conv4")


def squares(*sides):
    """The targets of one image with a square of each side."""
    boxes = torch.tensor([[0.0, 0.0, side, side + 1] for side in sides]).reshape(-1, 4)
    return [{"boxes": boxes, "labels": torch.ones(len(sides), dtype=torch.int64)}]


@given(st.lists(st.floats(0, 3000, width=32), min_size=1, max_size=40), st.sampled_from([0.25, 1.0, 2.0]))
def test_bins_of_a_run_hold_every_object_and_are_not_nearly_empty_at_the_ends(sides, factor):
    edges = short_side_edges(squares(*sides), [factor])
    assert edges[0] == 0 and edges[-1] == float("inf") and edges == sorted(set(edges)) and len(edges) <= 8
    assert all(math.log2(edge).is_integer() for edge in edges[1:-1])
    if len(edges) > 2:
        sizes = torch.tensor(sides) * factor
        assert (sizes <= edges[1]).sum() >= max(1, len(sides) // 10)


def test_bins_of_known_objects():
    assert short_side_edges(squares(), [1.0]) == [0, float("inf")] == short_side_edges(squares(9, 9, 9), [1.0])
    assert short_side_edges(squares(8, 8, 32, 32), [0.5]) == [0, 4, 8, 16, float("inf")]
    assert short_side_edges([], []) == [0, float("inf")]
