"""Figures of chapter 6: from each defect's anchor to its box, and what the same deltas mean on other anchors."""

from __future__ import annotations

import torch
from figures.boxes import ANCHOR, GUESS, TRUTH, outline, show_crop
from figures.running import CLASSES, running_image
from matplotlib.figure import Figure

from fasterfpn.geometry import box_iou, cell_anchors, decode_boxes, encode_boxes, pyramid_anchors
from fasterfpn.geometry.coding import MAX_LOG_RATIO

REGIONS = ((200, 345, 900, 495), (930, 268, 1014, 344), (385, 525, 615, 660))  # of the scratch, dirty point and crater
DELTAS = torch.tensor([0.5, -0.25, 0.6931472, 0.0])  # right by half a width, up by a quarter, twice as wide


def anchors_and_boxes() -> Figure:
    """Each defect with the anchor that must learn it, and the four deltas between them."""
    image, target = running_image()
    anchors = torch.cat(pyramid_anchors((960, 1280)))
    best = anchors[box_iou(target["boxes"], anchors).argmax(dim=1)]
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplot_mosaic([["scratch", "scratch"], ["dirty point", "crater"]], height_ratios=(1, 1.4))
    for box, anchor, label, region in zip(target["boxes"], best, target["labels"], REGIONS, strict=True):
        ax = axes[CLASSES[label - 1]]
        show_crop(ax, image, region)
        outline(ax, anchor, ANCHOR, style="--")
        outline(ax, box, TRUTH)
        start, end = ((corners[:2] + corners[2:]) / 2 for corners in (anchor, box))
        ax.annotate("", end.tolist(), start.tolist(), arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.5})
        ax.plot(*start.tolist(), "o", color=ANCHOR, markersize=6, markeredgecolor="white")
        t = ", ".join(f"{value:.2f}" for value in encode_boxes(box, anchor).tolist()).replace("-", "−")
        ax.set_title(f"{CLASSES[label - 1]}: t* = ({t})")
    return figure


def same_deltas() -> Figure:
    """The same four deltas decoded from anchors of three areas; and the clamp of dw."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    for side, place in ((32, 60), (64, 180), (128, 400)):
        anchor = cell_anchors(side**2, [1.0])[0] + torch.tensor([place, 0, place, 0])
        outline(left, anchor, ANCHOR, style="--")
        outline(left, decode_boxes(DELTAS, anchor), GUESS)
        left.text(place - side / 2, side / 2 + 6, f"{side} × {side}", va="top", fontsize=10)
    left.set(xlim=(20, 610), ylim=(130, -130), aspect="equal", title="one answer: d = (0.50, −0.25, 0.69, 0.00)")
    left.set_xlabel("pixels")
    dw = torch.linspace(-3, 7, 201)
    anchor = torch.tensor([0.0, 0, 1, 1])
    decoded = decode_boxes(torch.stack([torch.zeros_like(dw)] * 2 + [dw] * 2, dim=1), anchor)
    right.plot(dw, decoded[:, 2] - decoded[:, 0], color=GUESS, linewidth=2.5)
    right.axvline(MAX_LOG_RATIO, color="gray", linestyle=":")
    right.text(MAX_LOG_RATIO - 0.15, 0.07, f"clamp at {MAX_LOG_RATIO:.2f}", ha="right", color="#555555")
    right.set_yscale("log", base=2)
    ticks = (0.125, 0.5, 1, 2, 8, 62.5)
    right.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    right.minorticks_off()
    right.grid(color="#dddddd")
    right.set(xlabel="dw", ylabel="G'w / Aw", title="width of the decoded box")
    return figure


FIGURES = {"box_coding.svg": anchors_and_boxes, "box_coding_scale.svg": same_deltas}
