"""Figures of chapter 2: five detections, their precision-recall curve, and the bootstrap of two detectors."""

from __future__ import annotations

import torch
from figures.boxes import TRUTH, outline, show_crop
from figures.running import running_image
from matplotlib.figure import Figure

from fasterfpn.engine.average_precision import (
    ELEVEN_POINTS,
    EVERY_SIDE,
    average_precision,
    envelope,
    judge_class,
    precision_recall,
)
from fasterfpn.study.bootstrap import ap_samples, image_counts, with_interval

RIGHT, WRONG = "#2e5eaa", "#e0562d"
BOX = torch.tensor([[0.0, 0, 10, 10]])  # of every object and every detection of the thirty images


def five_detections() -> tuple[list[dict], list[dict]]:
    """Return detections and targets of the running image with its three defects as one class."""
    _, target = running_image()
    scratch, dirty_point, crater = target["boxes"]
    down = torch.tensor([0.0, 1, 0, 1])
    edge = torch.tensor([690.0, 300, 760, 345])
    boxes = torch.stack([crater + 7 * down, crater - 21 * down, scratch + 7 * down, edge, dirty_point + 7 * down])
    scores = torch.tensor([0.95, 0.9, 0.8, 0.6, 0.3])
    detections = {"boxes": boxes, "scores": scores, "labels": torch.ones(5, dtype=torch.int64)}
    return [detections], [{"boxes": target["boxes"], "labels": torch.ones(3, dtype=torch.int64)}]


def thirty_images(found: int) -> tuple[list[dict], list[dict]]:
    """Return detections and targets of 30 images with an object each; a detector finds the first `found` of them."""
    one = torch.ones(1, dtype=torch.int64)
    targets = [{"boxes": BOX, "labels": one}] * 30
    hit = {"boxes": BOX, "labels": one, "scores": torch.tensor([0.9])}
    miss = {name: value[:0] for name, value in hit.items()}
    return [hit if image < found else miss for image in range(30)], targets


def detections_on_the_image() -> Figure:
    """The three defects, and the five detections with their ranks and scores."""
    image, target = running_image()
    detections, targets = five_detections()
    figure = Figure(figsize=(9, 4.3), dpi=140, layout="constrained")
    axes = figure.subplots()
    show_crop(axes, image, (200, 265, 1080, 665))
    for box in target["boxes"]:
        outline(axes, box, TRUTH)
    places = ((585, 635), (585, 545), (240, 470), (690, 290), (1000, 307))
    true = judge_class(detections, targets, 1, 0.5, False, EVERY_SIDE).true
    for rank, (box, right, (x, y)) in enumerate(zip(detections[0]["boxes"], true, places, strict=True)):
        colour = RIGHT if right else WRONG
        outline(axes, box, colour, style="--")
        score = detections[0]["scores"][rank]
        label = {"color": "white", "fontsize": 9, "bbox": {"facecolor": colour, "edgecolor": "none", "pad": 2}}
        axes.text(x, y, f"{rank + 1}: {score:.2f}", va="center", **label)
    axes.set_title("ground truth (solid) and five detections (dashed): blue is right, red is wrong")
    return figure


def curve() -> Figure:
    """The precision-recall curve of the five detections, its envelope, its area and the eleven points."""
    detections, targets = five_detections()
    precision, recall, _ = precision_recall(detections, targets, 1)
    true = judge_class(detections, targets, 1, 0.5, False, EVERY_SIDE).true
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    axes = figure.subplots()
    edges = torch.cat([recall.new_zeros(1), recall])
    axes.stairs(envelope(precision), edges, fill=True, color="#cfe0f5", label="area under the envelope")
    axes.stairs(envelope(precision), edges, baseline=None, color="#7f9cc4", linewidth=2)
    axes.plot(recall, precision, color="#999999", linewidth=1, zorder=2)
    for right, colour in ((True, RIGHT), (False, WRONG)):
        axes.scatter(recall[true == right], precision[true == right], color=colour, s=50, zorder=3)
    for rank, (x, y) in enumerate(zip(recall.tolist(), precision.tolist(), strict=True)):
        axes.annotate(str(rank + 1), (x, y), (7, 5), textcoords="offset points")
    height = envelope(precision)[torch.searchsorted(recall, ELEVEN_POINTS)]
    axes.plot(ELEVEN_POINTS, height, "k|", markersize=12, label="the eleven points")
    area, points = (average_precision(detections, targets, method=method)["mAP"] for method in ("area", "11-point"))
    axes.set(xlim=(-0.02, 1.06), ylim=(0, 1.12), xlabel="recall", ylabel="precision")
    axes.set_title(f"AP: area {area:.3f}, eleven points {points:.3f}")
    axes.legend(loc="lower left")
    return figure


def two_detectors() -> Figure:
    """Histograms of the bootstrap: two detectors, and their difference on the same draws."""
    counts = image_counts(30)
    better, worse = (ap_samples(*thirty_images(found), 1, counts)[:, 0] for found in (24, 22))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    bins = torch.arange(-0.5, 31) / 30
    for samples, colour, name in ((better, RIGHT, "24 of 30"), (worse, WRONG, "22 of 30")):
        interval = with_interval(samples)
        text = f"{name}: {interval['value']:.2f}, from {interval['low']:.2f} to {interval['high']:.2f}"
        left.hist(samples[1:], bins, color=colour, alpha=0.5, label=text)
    left.set(xlabel="AP", ylabel="draws", title="each detector", xlim=(0.4, 1), ylim=(0, 260))
    left.legend(loc="upper left", fontsize=9)
    interval = with_interval(better - worse)
    right.hist((better - worse)[1:], bins, color="#777777")
    right.set(xlabel="difference of AP", title="24 minus 22, on the same draws", xlim=(-0.05, 0.3))
    text = f"{interval['value']:.2f}, from {interval['low']:.2f} to {interval['high']:.2f}"
    right.text(0.98, 0.94, text, ha="right", va="top", transform=right.transAxes, fontsize=9)
    return figure


FIGURES = {
    "average_precision.jpg": detections_on_the_image,
    "average_precision_curve.svg": curve,
    "average_precision_bootstrap.svg": two_detectors,
}
