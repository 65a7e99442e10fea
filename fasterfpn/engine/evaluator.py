"""Runs a detector over a data set and computes VOC average precision, as a dictionary and as a table of text.

N images. Detections and targets are lists of N dictionaries of CPU tensors, in the order of the data set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from fasterfpn.engine.average_precision import average_precision
from fasterfpn.types import Detections, Target


def same_size_batches(dataset: Any, batch_size: int) -> Iterator[tuple[list[Tensor], list[Target]]]:
    """Batches of at most `batch_size` consecutive images, all of one size, so that none is padded."""
    images, targets = [], []
    for index in range(len(dataset)):
        image, target = dataset[index]
        if images and (len(images) == batch_size or image.shape != images[0].shape):
            yield images, targets
            images, targets = [], []
        images.append(image)
        targets.append(target)
    if images:
        yield images, targets


@torch.no_grad()
def detect_all(
    detector: nn.Module, dataset: Any, batch_size: int = 4, progress: bool = True
) -> tuple[list[Detections], list[Target]]:
    """Detect on every image of `dataset`, on the detector's device: `(detections, targets)`.

    `dataset[i]` is an image (3, H, W) and its target. The detector's mode (training or not) is the same afterwards.
    """
    device = next(detector.parameters()).device
    was_training = detector.training
    detector.eval()
    detections, targets = [], []
    try:
        with tqdm(total=len(dataset), desc="detect", unit="image", disable=not progress) as bar:
            for images, truth in same_size_batches(dataset, batch_size):
                results = detector([image.to(device) for image in images])
                detections += [{name: value.cpu() for name, value in result.items()} for result in results]
                targets += truth
                bar.update(len(images))
    finally:
        detector.train(was_training)
    return detections, targets


def summary(
    detections: Sequence[Detections], targets: Sequence[Target], classes: Sequence[str], iou_threshold: float = 0.5
) -> dict[str, Any]:
    """The metrics of `evaluate --json`; label k is `classes[k - 1]`. A class without ground truth has AP NaN.

    The main metrics count difficult boxes as ordinary ones; those with the suffix `_without_difficult` leave them out,
    as the VOC challenge did.
    """
    truth = [target["labels"] for target in targets]
    metrics: dict[str, Any] = {
        "iou_threshold": iou_threshold,
        "images": len(targets),
        "objects": sum(map(len, truth)),
        "difficult_objects": sum(int(target["difficult"].sum()) for target in targets if "difficult" in target),
        "objects_by_class": count_by_class(truth, classes),
    }
    labels = range(1, len(classes) + 1)
    for suffix, count in (("", True), ("_without_difficult", False)):
        for method in ("area", "11-point"):
            result = average_precision(detections, targets, iou_threshold, method, labels=labels, count_difficult=count)
            key = method.replace("-", "_") + suffix
            metrics[f"mAP_{key}"] = result["mAP"]
            metrics[f"AP_{key}"] = dict(zip(classes, result["AP"].values(), strict=True))
    return metrics


def count_by_class(labels: Sequence[Tensor], classes: Sequence[str]) -> dict[str, int]:
    """How often each class occurs in the labels (G,) of N images."""
    return {kind: sum(int((of_image == k).sum()) for of_image in labels) for k, kind in enumerate(classes, start=1)}


def summary_table(metrics: Mapping[str, Any]) -> str:
    """`summary` as lines of text: AP in percent for each class and the mean; "-" for a class without objects."""
    columns = {"area": "area", "11-point": "11_point"}
    note = "No object is marked difficult, so AP without difficult objects is the same."
    if metrics["difficult_objects"]:
        note = f"{metrics['difficult_objects']} objects are marked difficult."
        columns |= {f"{title}, no difficult": f"{key}_without_difficult" for title, key in columns.items()}
    rows = [["class", "objects", *columns]]
    for name, objects in metrics["objects_by_class"].items():
        rows.append([name, str(objects), *(percent(metrics[f"AP_{key}"][name]) for key in columns.values())])
    rows.append(["mean", str(metrics["objects"]), *(percent(metrics[f"mAP_{key}"]) for key in columns.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    title = f"VOC average precision (%) at IoU {metrics['iou_threshold']:g} on {metrics['images']} images"
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:], note])


def percent(fraction: float) -> str:
    """`12.3` for 0.1234, `-` for NaN."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def without_nan(content: Any) -> Any:
    """Copy dictionaries and lists with None (JSON's null) in place of NaN, which JSON does not have."""
    if isinstance(content, Mapping):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
