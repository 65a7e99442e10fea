"""Computes every number of a report (report.json): data, anchors, AP with intervals, gains, speed, saliency.

N images of a part, C classes, B draws of the bootstrap. Detections and targets are lists of N dictionaries; boxes are
in pixels of the image as it was passed in.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.splits import Splits
from fasterfpn.engine.average_precision import mean_at_recalls, precision_recall, short_side, short_side_in
from fasterfpn.engine.detections import Speed
from fasterfpn.engine.evaluator import count_by_class, without_nan
from fasterfpn.geometry import box_area
from fasterfpn.geometry.anchor_fit import best_anchor_iou
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.detector import Detector, build_detector
from fasterfpn.models.images import network_size
from fasterfpn.models.saliency import concentration, saliency
from fasterfpn.study.bootstrap import ap_samples, image_counts, with_interval
from fasterfpn.study.mistakes import worst_false_alarms, worst_misses
from fasterfpn.types import Detections, Target

RECALLS = torch.arange(101, dtype=torch.float64) / 100
ANCHOR_IOUS = (0.5, 0.7)
MISTAKES = 8
SALIENCY_IMAGES, SMALL_AREA = 40, 0.03
FOUND, BLIND = 5, 2
"""A map with a `concentration` of FOUND or more points at the object; one with less than BLIND does not."""
Samples = list[Tensor]
"""AP of each class in each draw, float64 (1 + B, C): of all objects, then of those in each bin of the shorter side."""


def data_metrics(splits: Splits) -> dict[str, Any]:
    """Numbers of images and objects in each part, in all and by class (figure 2)."""
    metrics = {}
    for name in ("train", "val", "test"):
        part = getattr(splits, name)
        labels = [target["labels"] for target in all_targets(part)]
        metrics[name] = {
            "images": len(part),
            "objects": sum(map(len, labels)),
            "images_by_class": count_by_class([image.unique() for image in labels], part.classes),
            "objects_by_class": count_by_class(labels, part.classes),
        }
    return metrics


def anchor_metrics(dataset: LabelledImages, model: DetectorConfig) -> dict[str, Any]:
    """How many objects of `dataset` each of the 15 anchor shapes can match at IoU 0.5 and 0.7 (figure 8)."""
    boxes, sizes = [], []
    for index, target in enumerate(all_targets(dataset)):
        size = dataset.size(index)
        new = network_size(size, model.image)
        boxes.append(target["boxes"] * torch.tensor([new[1] / size[1], new[0] / size[0]] * 2))
        sizes.append(torch.tensor(new, dtype=torch.float32).expand(len(target["boxes"]), 2))
    anchors = model.anchors()
    iou = best_anchor_iou(torch.cat(boxes), torch.cat(sizes), anchors)
    return {
        "objects": len(iou),
        "sides": [math.sqrt(area) for areas in anchors.areas for area in areas],
        "ratios": list(anchors.ratios),
        "strides": [stride for stride, areas in zip(anchors.strides, anchors.areas, strict=True) for _ in areas],
        "matches": {f"{limit:g}": (iou >= limit).sum(0).tolist() for limit in ANCHOR_IOUS},
        "any": {f"{limit:g}": int((iou >= limit).any(1).sum()) for limit in ANCHOR_IOUS},
    }


def network_metrics(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    factors: Sequence[float],
    classes: Sequence[str],
    edges: Sequence[float],
    draws: int,
) -> tuple[dict[str, Any], Samples]:
    """AP with 95 % intervals, by class and by shorter side, with curves and mistakes; and the samples of the intervals.

    The bins' `edges` are in pixels of the network's input, which is the image times its factor in `factors` (N,). The
    mean AP of a bin is over the classes that have an object in it, whether one or a hundred. A draw without any object
    of some class is the mean over the others, so a bin with rare classes has a wide interval.
    """
    counts = image_counts(len(targets), draws)
    all_samples = [ap_samples(detections, targets, len(classes), counts)]
    scaled, scaled_truth = (
        [{**image, "boxes": image["boxes"] * factor} for image, factor in zip(images, factors, strict=True)]
        for images in (detections, targets)
    )
    bins = []
    for sides in itertools.pairwise(edges):
        inside = [image["labels"][short_side_in(image["boxes"], sides)] for image in scaled_truth]
        samples = ap_samples(scaled, scaled_truth, len(classes), counts, sides)
        all_samples.append(samples)
        bins.append(
            {
                "low": sides[0],
                "high": sides[1] if sides[1] < math.inf else None,
                "objects": sum(map(len, inside)),
                "objects_by_class": count_by_class(inside, classes),
                "AP": with_interval(samples.nanmean(1)),
                "AP_by_class": without_nan(dict(zip(classes, samples[0].tolist(), strict=True))),
            }
        )
    metrics = {
        "images": len(targets),
        "objects": sum(len(target["labels"]) for target in targets),
        "mAP": with_interval(all_samples[0].nanmean(1)),
        "AP": {kind: with_interval(AP) for kind, AP in zip(classes, all_samples[0].unbind(1), strict=True)},
        "by_short_side": bins,
        "precision_recall": {kind: _curve(detections, targets, label) for label, kind in enumerate(classes, start=1)},
        "misses": [asdict(miss) for miss in worst_misses(detections, targets, classes, MISTAKES)],
        "false_alarms": [asdict(alarm) for alarm in worst_false_alarms(detections, targets, classes, MISTAKES)],
    }
    return metrics, all_samples


def _curve(detections: Sequence[Detections], targets: Sequence[Target], label: int) -> list[float] | None:
    """The precision envelope at recalls 0, 0.01, .., 1; None for a class without objects."""
    precision, recall, positives = precision_recall(detections, targets, label, count_difficult=True)
    return [mean_at_recalls(precision, recall, point) for point in RECALLS.split(1)] if positives else None


def gain_metrics(better: Samples, base: Samples, classes: Sequence[str]) -> dict[str, Any]:
    """AP of one network minus AP of another on the same draws of images, with the 95 % interval of the difference."""
    mAP, *by_short_side = [with_interval(a.nanmean(1) - b.nanmean(1)) for a, b in zip(better, base, strict=True)]
    AP = {kind: with_interval(gain) for kind, gain in zip(classes, (better[0] - base[0]).unbind(1), strict=True)}
    return {"mAP": mAP, "AP": AP, "by_short_side": by_short_side}


def size_factors(dataset: LabelledImages, model: DetectorConfig) -> list[float]:
    """The factor by which each image of `dataset` is resized for the network."""
    sizes = [dataset.size(index) for index in range(len(dataset))]
    return [min(network_size(size, model.image)) / min(size) for size in sizes]


def short_side_edges(targets: Sequence[Target], factors: Sequence[float], most: int = 6) -> list[float]:
    """Edges of bins that suit the given objects: 0, powers of two in pixels of the network's input, infinity.

    The powers lie between the 10 % and the 90 % quantile of the objects' shorter sides, so that the first and the last
    bin are not nearly empty; of more than `most` powers, every second, third, ... is taken. Without a power in that
    range, and without objects, there is one bin for all sizes.
    """
    sides = [short_side(target["boxes"]).double() * factor for target, factor in zip(targets, factors, strict=True)]
    together = torch.cat([torch.zeros(0, dtype=torch.float64), *sides])
    if len(together) == 0:
        return [0.0, math.inf]
    low, high = torch.quantile(together, together.new_tensor([0.1, 0.9])).tolist()
    exponents = [exponent for exponent in range(24) if low <= 2**exponent <= high]
    every = max(1, -(-len(exponents) // most))
    return [0.0, *(2.0**exponent for exponent in exponents[::every]), math.inf]


@torch.no_grad()
def measured_speed(detector: torch.nn.Module, dataset: LabelledImages, images: int = 20) -> Speed:
    """The median time of detecting on one image at a time, after two to warm up; the detector is in evaluation mode."""
    device, times = next(detector.parameters()).device, []
    for index in [0, 0, *range(min(images, len(dataset)))]:
        image = dataset[index][0].to(device)
        start = time.perf_counter()
        detector([image])[0]["scores"].cpu()
        times.append(time.perf_counter() - start)
    return Speed(statistics.median(times[2:]), str(device), torch.get_num_threads())


def saliency_metrics(
    detector: Detector, dataset: LabelledImages, seed: int, count: int = SALIENCY_IMAGES
) -> list[dict[str, Any]]:
    """`concentration` of the trained network's map, and of the map of a network with the fresh weights of `seed`.

    Only images with a single object that covers less than 3 % of the image are used; of more than `count` such images,
    every second, third, ...
    """
    device = next(detector.parameters()).device
    random = build_detector(detector.config, detector.classes, seed).to(device).eval()
    metrics, targets = [], all_targets(dataset)
    areas = [float(box_area(target["boxes"]).sum()) / math.prod(dataset.size(i)) for i, target in enumerate(targets)]
    fitting = [i for i, area in enumerate(areas) if len(targets[i]["labels"]) == 1 and area < SMALL_AREA]
    for index in fitting[:: max(1, -(-len(fitting) // count))]:
        image, box, label = dataset[index][0].to(device), targets[index]["boxes"][0], int(targets[index]["labels"][0])
        trained, untrained = (
            concentration(saliency(network, image, label).values, box) for network in (detector, random)
        )
        named = {"name": dataset.image_name(index), "class": detector.classes[label - 1], "area": areas[index]}
        metrics.append(named | {"trained": trained, "random": untrained})
    return metrics


def saliency_by_class(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`saliency_metrics` summed up for each class and for all images: number of images, median of either
    concentration, and how many trained maps reach FOUND and untrained ones stay under BLIND.

    A concentration that is not defined, as for a box without pixels, counts as 0.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for entry in metrics:
        groups.setdefault(entry["class"], []).append(entry)
    if metrics:
        groups["all"] = list(metrics)
    summary = {}
    for kind, group in groups.items():
        trained, random = (
            [0.0 if math.isnan(one[key]) else one[key] for one in group] for key in ("trained", "random")
        )
        summary[kind] = {
            "images": len(group),
            "trained": statistics.median(trained),
            "found": sum(ratio >= FOUND for ratio in trained),
            "random": statistics.median(random),
            "blind": sum(ratio < BLIND for ratio in random),
        }
    return summary
