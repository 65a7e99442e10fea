"""The numbers of a run's report, as they stand in report.json: data, anchors, figures with intervals, gains.

N images; detections and targets are lists of N dictionaries, boxes in pixels of the image as it was passed in.
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

from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.splits import Splits
from fasterfpn.engine.average_precision import envelope, precision_recall, short_side_in
from fasterfpn.engine.detections import Speed
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tables import LOSSES
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
SALIENCY, SMALL_AREA = 40, 0.03
FOUND, BLIND = 5, 2  # a map that dwells on the object has a ratio of FOUND or more, one that does not less than BLIND
Samples = dict[str, Any]  # "AP" (1 + B, C) and "by_short_side", one (1 + B, C) a bin


def data_figures(splits: Splits) -> dict[str, Any]:
    """Images and objects of each part, in all and by class (figure 2)."""
    figures = {}
    for name in ("train", "val", "test"):
        part = getattr(splits, name)
        labels = [target["labels"] for target in all_targets(part)]
        by_class = list(enumerate(part.classes, start=1))
        figures[name] = {
            "images": len(part),
            "objects": sum(map(len, labels)),
            "images_by_class": {
                kind: sum(bool((image == label).any()) for image in labels) for label, kind in by_class
            },
            "objects_by_class": {
                kind: sum(int((image == label).sum()) for image in labels) for label, kind in by_class
            },
        }
    return figures


def anchor_figures(dataset: Any, model: DetectorConfig) -> dict[str, Any]:
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


def network_figures(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    factors: Sequence[float],
    classes: Sequence[str],
    edges: Sequence[float],
    draws: int,
) -> tuple[dict[str, Any], Samples]:
    """AP with 95 % intervals, by class and by shorter side, curves and mistakes; and the samples behind the intervals.

    `edges` of the bins are in pixels of the network's input, which is the image times its factor in `factors` (N,). A
    mean over classes counts the classes that have an object there, whether one or a hundred. A draw of the bootstrap
    without any image of a class counts the remaining classes, so the interval of a bin with rare classes is wide.
    """
    counts = image_counts(len(targets), draws)
    samples: Samples = {"AP": ap_samples(detections, targets, len(classes), counts), "by_short_side": []}
    scaled, scaled_truth = (
        [{**image, "boxes": image["boxes"] * factor} for image, factor in zip(images, factors, strict=True)]
        for images in (detections, targets)
    )
    bins = []
    for low, high in itertools.pairwise(edges):
        samples["by_short_side"].append(ap_samples(scaled, scaled_truth, len(classes), counts, (low, high)))
        inside = [image["labels"][short_side_in(image["boxes"], (low, high))] for image in scaled_truth]
        labels = torch.cat([torch.zeros(0, dtype=torch.int64), *inside])
        by_class = {kind: int((labels == label).sum()) for label, kind in enumerate(classes, start=1)}
        entry = {"low": low, "high": high if high < math.inf else None, "objects": len(labels)}
        bins.append(entry | {"objects_by_class": by_class})
    for entry, AP in zip(bins, samples["by_short_side"], strict=True):
        entry["AP"] = with_interval(AP.nanmean(1))
        entry["AP_by_class"] = dict(zip(classes, map(_or_none, AP[0].tolist()), strict=True))
    figures = {
        "images": len(targets),
        "objects": sum(len(target["labels"]) for target in targets),
        "mAP": with_interval(samples["AP"].nanmean(1)),
        "AP": {kind: with_interval(samples["AP"][:, index]) for index, kind in enumerate(classes)},
        "by_short_side": bins,
        "precision_recall": {kind: _curve(detections, targets, label) for label, kind in enumerate(classes, start=1)},
        "misses": [asdict(miss) for miss in worst_misses(detections, targets, classes, MISTAKES)],
        "false_alarms": [asdict(alarm) for alarm in worst_false_alarms(detections, targets, classes, MISTAKES)],
    }
    return figures, samples


def gain_figures(better: Samples, base: Samples, classes: Sequence[str]) -> dict[str, Any]:
    """AP of one network minus that of another on the same draws of images: the paired difference, 95 %."""
    bins = zip(better["by_short_side"], base["by_short_side"], strict=True)
    return {
        "mAP": with_interval(better["AP"].nanmean(1) - base["AP"].nanmean(1)),
        "AP": {kind: with_interval((better["AP"] - base["AP"])[:, index]) for index, kind in enumerate(classes)},
        "by_short_side": [with_interval(AP.nanmean(1) - base_AP.nanmean(1)) for AP, base_AP in bins],
    }


def size_factors(dataset: Any, model: DetectorConfig) -> list[float]:
    """The factor by which each image of `dataset` is resized for the network."""
    sizes = [dataset.size(index) for index in range(len(dataset))]
    return [min(network_size(size, model.image)) / min(size) for size in sizes]


def short_side_edges(targets: Sequence[Target], factors: Sequence[float], most: int = 6) -> list[float]:
    """Edges of bins that suit the objects at hand: 0, powers of two in pixels of the network's input, infinity.

    The powers lie between the 10 % and the 90 % quantile of the objects' shorter sides, so that the first and the last
    bin are not nearly empty; of more than `most` powers, every second, third, ... is taken. Where no power lies there,
    and without objects, there is one bin for all sizes.
    """
    sides = [torch.zeros(0, dtype=torch.float64)]
    for target, factor in zip(targets, factors, strict=True):
        width, height = (target["boxes"][:, 2:] - target["boxes"][:, :2]).unbind(1)
        sides.append(torch.minimum(width, height).double() * factor)
    together = torch.cat(sides)
    if len(together) == 0:
        return [0.0, math.inf]
    low, high = torch.quantile(together, together.new_tensor([0.1, 0.9])).tolist()
    exponents = [exponent for exponent in range(24) if low <= 2**exponent <= high]
    every = max(1, -(-len(exponents) // most))
    return [0.0, *(2.0**exponent for exponent in exponents[::every]), math.inf]


@torch.no_grad()
def measured_speed(detector: torch.nn.Module, dataset: Any, images: int = 20) -> Speed:
    """The median time to detect on one image alone, in evaluation mode, after two to warm up."""
    device, times = next(detector.parameters()).device, []
    for index in [0, 0, *range(min(images, len(dataset)))]:
        image = dataset[index][0].to(device)
        start = time.perf_counter()
        detector([image])[0]["scores"].cpu()
        times.append(time.perf_counter() - start)
    return Speed(statistics.median(times[2:]), str(device), torch.get_num_threads())


def saliency_figures(detector: Detector, dataset: LabelledImages, seed: int, count: int = SALIENCY) -> list[dict]:
    """`concentration` of the trained network, and of one with the fresh weights of `seed`.

    It is computed on the images with a single object of less than 3 % of the image; where there are more than `count`
    of them, on that many, spread over the part.
    """
    device = next(detector.parameters()).device
    random = build_detector(detector.config, detector.classes, seed).to(device).eval()
    figures, targets = [], all_targets(dataset)
    areas = [float(box_area(target["boxes"]).sum()) / math.prod(dataset.size(i)) for i, target in enumerate(targets)]
    fitting = [i for i, area in enumerate(areas) if len(targets[i]["labels"]) == 1 and area < SMALL_AREA]
    for index in fitting[:: max(1, -(-len(fitting) // count))]:
        target, area = targets[index], areas[index]
        image, box, label = dataset[index][0].to(device), target["boxes"][0], int(target["labels"][0])
        trained, untrained = (
            concentration(saliency(network, image, label).values, box) for network in (detector, random)
        )
        named = {"name": dataset.image_name(index), "class": detector.classes[label - 1], "area": area}
        figures.append(named | {"trained": trained, "random": untrained})
    return figures


def saliency_by_class(figures: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each class in `figures`, and for all: images, median ratios, and on how many images the ratio is as expected.

    A ratio that is not defined, as for a box without pixels, counts as 0.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for figure in figures:
        groups.setdefault(figure["class"], []).append(figure)
    summary = {}
    for kind, group in (groups | {"all": list(figures)} if figures else {}).items():
        trained, random = ([0.0 if math.isnan(f[key]) else f[key] for f in group] for key in ("trained", "random"))
        summary[kind] = {
            "images": len(group),
            "trained": statistics.median(trained),
            "found": sum(ratio >= FOUND for ratio in trained),
            "random": statistics.median(random),
            "blind": sum(ratio < BLIND for ratio in random),
        }
    return summary


def loss_figures(run: RunFolder) -> dict[str, list[float]]:
    """losses.csv: `step` and the five losses. Raises `InputError` for a damaged file."""
    columns = run.losses()
    return {name: columns[name] for name in ("step", *LOSSES)}


def validation_figures(run: RunFolder) -> list[tuple[int, float | None]]:
    """validation.csv as (step, mAP), None without a validation part. Raises `InputError` for a damaged file."""
    columns = run.validations()
    return [(int(step), _or_none(mAP)) for step, mAP in zip(columns["step"], columns["mAP_area"], strict=True)]


def _curve(detections: Sequence[Detections], targets: Sequence[Target], label: int) -> list[float] | None:
    """The precision envelope at recalls 0, 0.01, .., 1; None for a class without objects."""
    precision, recall, positives = precision_recall(detections, targets, label, count_difficult=True)
    if positives == 0:
        return None
    height = torch.cat([envelope(precision), precision.new_zeros(1)]) if len(precision) else recall.new_zeros(1)
    return height[torch.searchsorted(recall, RECALLS)].tolist()


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
