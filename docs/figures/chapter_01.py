"""Figures of chapter 1: the same error on three defects, and three pairs of boxes on squared paper."""

from __future__ import annotations

import torch
from figures.boxes import GUESS, TRUTH, outline, show_crop
from figures.running import CLASSES, running_image
from matplotlib.figure import Figure

from fasterfpn.geometry import box_iou

ERROR = torch.tensor([0.0, 7, 0, 7])  # seven pixels too low
REGIONS = ((200, 385, 900, 495), (900, 260, 1040, 360), (430, 540, 598, 660))  # of the scratch, dirty point and crater
PAIRS = (
    ("half of each shared", (0, 0, 4, 4), (2, 0, 6, 4)),
    ("half along x and along y", (0, 0, 4, 4), (2, 2, 6, 6)),
    ("one is half of the other", (0, 0, 4, 4), (0, 0, 4, 2)),
)


def seven_pixels() -> Figure:
    """Each defect with its ground truth and a detection that lies 7 pixels too low."""
    image, target = running_image()
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplot_mosaic([["scratch", "scratch"], ["dirty point", "crater"]], height_ratios=(1, 1.9))
    for box, label, region in zip(target["boxes"], target["labels"], REGIONS, strict=True):
        ax, found = axes[CLASSES[label - 1]], box + ERROR
        show_crop(ax, image, region)
        outline(ax, box, TRUTH)
        outline(ax, found, GUESS, style="--")
        width, height = (box[2:] - box[:2]).tolist()
        iou = box_iou(box[None], found[None]).item()
        ax.set_title(f"{CLASSES[label - 1]}, {width:.0f} × {height:.0f} pixels: IoU {iou:.2f}")
    return figure


def squared_paper() -> Figure:
    """Three pairs of boxes whose areas can be counted in squares."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for ax, (title, first, second) in zip(figure.subplots(1, 3), PAIRS, strict=True):
        a, b = torch.tensor([first, second], dtype=torch.float64)
        shared = torch.cat([torch.maximum(a, b)[:2], torch.minimum(a, b)[2:]])
        outline(ax, shared, "#8a8a8a", width=0, fill=0.5)
        outline(ax, a, TRUTH, width=3)
        outline(ax, b, GUESS, width=3, style="--")
        inter = int((shared[2] - shared[0]) * (shared[3] - shared[1]))
        union = round(inter / box_iou(a[None], b[None]).item())
        ax.text(*((shared[:2] + shared[2:]) / 2).tolist(), str(inter), ha="center", va="center", fontsize=14)
        ax.set(xlim=(-0.3, 6.3), ylim=(6.3, -0.3), aspect="equal", title=title, xticks=range(7), yticks=range(7))
        ax.set_xlabel(f"IoU = {inter} / {union} = {inter / union:.2f}", fontsize=13)
        ax.grid(color="#dddddd")
        ax.set_axisbelow(True)
        ax.tick_params(length=0, labelsize=8)
    return figure


FIGURES = {"two_boxes.svg": seven_pixels, "two_boxes_squares.svg": squared_paper}
