"""Figures of chapter 7: how well any anchor fits each defect, the labels of one kind, the 256 that the loss sees."""

from __future__ import annotations

import torch
from figures.boxes import ANCHOR, TRUTH, outline, show_crop
from figures.running import CLASSES, SIZE, running_image
from matplotlib.figure import Figure

from fasterfpn.geometry import box_iou, match_boxes, pyramid_anchors, sample_balanced

COLOURS = {"scratch": "#d1495b", "dirty point": "#2e5eaa", "crater": "#4a7c59"}
SHOWN = 1000  # best anchors of each defect in the curves


def best_of_each() -> Figure:
    """The scratch with its best anchor; below, the IoU of each defect's best anchors with the two thresholds."""
    image, target = running_image()
    iou = box_iou(target["boxes"], torch.cat(pyramid_anchors(SIZE)))  # (M, R)
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    top, below = figure.subplots(2, 1, height_ratios=(1, 1.9))
    show_crop(top, image, (200, 350, 900, 500))
    outline(top, torch.cat(pyramid_anchors(SIZE))[iou[0].argmax()], ANCHOR)
    outline(top, target["boxes"][0], TRUTH)
    top.set_title(f"the anchor that fits the scratch best: IoU {iou[0].max().item():.2f}")
    for low, high, text, colour in (
        (0.7, 1, "object", "#d9f2e6"),
        (0.3, 0.7, "ignored", "#f3f3f3"),
        (0, 0.3, "background", "#fde8d7"),
    ):
        below.axhspan(low, high, color=colour, zorder=0)
        below.text(1.08, low + 0.05, text, va="center", color="#555555")
    for values, label in zip(iou, target["labels"], strict=True):
        name = CLASSES[label - 1]
        best = values.sort(descending=True).values[:SHOWN]
        below.plot(range(1, SHOWN + 1), best, color=COLOURS[name], linewidth=2.5, label=name)
    below.set_xscale("log")
    below.set_xticks((1, 10, 100, 1000), ("1", "10", "100", "1000"))
    below.set(xlim=(1, SHOWN), ylim=(0, 1), yticks=(0, 0.3, 0.5, 0.7, 1))
    below.set(xlabel="anchors, the best first", ylabel="IoU with the defect")
    below.legend(loc="upper right", ncols=3)
    return figure


def sampled_anchors() -> Figure:
    """The image with the anchors of one sample: the objects, and the background that fills it."""
    image, target = running_image()
    anchors = torch.cat(pyramid_anchors(SIZE))
    labels, _ = match_boxes(anchors, target["boxes"], 0.3, 0.7, best_for_each=True)
    positive, negative = sample_balanced(labels, 256, 0.5, torch.Generator().manual_seed(0))
    figure = Figure(figsize=(9, 6.9), layout="constrained")
    ax = figure.subplots()
    show_crop(ax, image, (0, 0, SIZE[1], SIZE[0]))
    for anchor in anchors[negative]:
        outline(ax, anchor, "#ffd0a0", width=0.8)
    for anchor in anchors[positive]:
        outline(ax, anchor, ANCHOR, width=3)
    ax.set(xlim=(0, SIZE[1]), ylim=(SIZE[0], 0))
    ax.set_title(f"{len(positive)} objects and {len(negative)} of {int((labels == 0).sum()):,} background anchors")
    return figure


def one_kind() -> Figure:
    """The anchors of one kind by label: a square on each cell whose anchor is no background; the objects as boxes."""
    image, target = running_image()
    anchors = pyramid_anchors(SIZE, areas=(128.0**2,), ratios=(0.5,), strides=(16,))[0]
    labels, _ = match_boxes(anchors, target["boxes"], 0.3, 0.7, best_for_each=True)
    figure = Figure(figsize=(7, 5.4), layout="constrained")
    ax = figure.subplots()
    show_crop(ax, image, (0, 0, SIZE[1], SIZE[0]))
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    for label, colour in ((-1, "#facc15"), (1, ANCHOR)):
        ax.scatter(*centres[labels == label].T, s=18, color=colour, marker="s", zorder=3)
    for anchor in anchors[labels == 1]:
        outline(ax, anchor, ANCHOR)
    for box in target["boxes"]:
        outline(ax, box, TRUTH)
    ax.set(xlim=(0, SIZE[1]), ylim=(SIZE[0], 0))
    counts = [int((labels == label).sum()) for label in (1, -1, 0)]
    ax.set_title("P4, 128² pixels, 1 : 2: {} objects, {} ignored, {:,} background".format(*counts), fontsize=11)
    return figure


FIGURES = {
    "assignment_kind.jpg": one_kind,
    "assignment.svg": best_of_each,
    "assignment_sample.jpg": sampled_anchors,
}
