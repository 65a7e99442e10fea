"""Figures of chapter 5: the fifteen anchors of figure 8 to scale, and the best anchor of each object."""

from __future__ import annotations

import torch
from figures.running import CLASSES, SIZE, running_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fasterfpn.geometry import Anchors, box_iou, cell_anchors, pyramid_anchors
from fasterfpn.geometry.anchor_fit import best_anchor_iou
from fasterfpn.geometry.anchors import AREAS, STRIDES

COLOURS = ("#ffd23f", "#ff8c42", "#ff4f79", "#b388ff", "#6fe3ff")  # P2..P6, on the dark photograph
POINT = (640.0, 448.0)  # x, y: a cell of every level has its centre here


def outline(axes: Axes, box: list[float], colour: str, width: float = 1.6, style: str = "-") -> None:
    """Draw the outline of a box x1 y1 x2 y2."""
    x1, y1, x2, y2 = box
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, lw=width, ls=style))


def photograph(axes: Axes) -> None:
    """Show the running image."""
    axes.imshow(running_image()[0].permute(1, 2, 0).numpy(), extent=(0, SIZE[1], SIZE[0], 0))
    axes.set(xlim=(0, SIZE[1]), ylim=(SIZE[0], 0), xticks=range(0, 1281, 320), yticks=range(0, 961, 240))


def fifteen() -> Figure:
    """The fifteen kinds around one point, and the best of all 306,900 anchors for each object."""
    figure = Figure(figsize=(12, 4.7), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    photograph(left)
    for name, area, stride, colour in zip(range(2, 7), AREAS, STRIDES, COLOURS, strict=True):
        for anchor in cell_anchors(area) + torch.tensor(POINT * 2):
            outline(left, anchor.tolist(), colour)
        left.plot([], [], color=colour, label=f"P{name}: {area**0.5:.0f}², stride {stride}")
    left.legend(loc="lower left", fontsize=9)
    left.set_title("The 15 kinds of anchor, around one point")

    photograph(right)
    target, anchors = running_image()[1], pyramid_anchors(SIZE)
    iou = box_iou(target["boxes"], torch.cat(anchors))
    level = torch.repeat_interleave(torch.arange(5), torch.tensor([len(each) for each in anchors]))
    for box, label, row in zip(target["boxes"], target["labels"], iou, strict=True):
        best = int(row.argmax())
        outline(right, box.tolist(), "white", 2)
        anchor = torch.cat(anchors)[best].tolist()
        outline(right, anchor, COLOURS[level[best]], 2)
        words = f"{CLASSES[label - 1]}: IoU {row[best]:.2f} (P{2 + level[best]})"
        x, side = (anchor[2], "right") if anchor[0] > SIZE[1] / 2 else (anchor[0], "left")
        right.text(x, anchor[1] - 12, words, color=COLOURS[level[best]], weight="bold", ha=side)
    right.set_title("White: objects. Coloured: the best of all anchors")
    return figure


def thin() -> Figure:
    """How much of a box of each shape any anchor covers, as IoU: the bound, and what the grid leaves of it."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    shape = torch.logspace(0, 1.75, 400, dtype=torch.float64)  # width : height
    axes.plot(shape, best_of_any_area(shape), color="black", label="anchors of every area, best placed")
    for side, colour in ((200.0, "#d1495b"), (45.0, "#00798c")):
        w, h = side * shape.sqrt(), side / shape.sqrt()
        boxes = torch.stack([640 - w / 2, 480 - h / 2, 640 + w / 2, 480 + h / 2], dim=1)
        found = best_anchor_iou(boxes, torch.tensor([SIZE]).expand(len(boxes), 2), Anchors()).amax(1)
        axes.plot(shape, found, color=colour, lw=1, label=f"the five areas; object of {side:.0f}² square pixels")
    for iou in (0.7, 0.3):
        axes.axhline(iou, color="grey", lw=0.8, ls=":")
    axes.set(xscale="log", xlabel="width : height of the object", ylabel="IoU with its best anchor", ylim=(0, 1.02))
    axes.set_xticks([1, 2, 3, 5, 10, 20, 30.5], ["1", "2", "3", "5", "10", "20", "scratch"])
    axes.minorticks_off()
    axes.legend(fontsize=9)
    return figure


def best_of_any_area(shape: torch.Tensor) -> torch.Tensor:
    """The best IoU of concentric boxes, one `shape` times as wide as high, the other of the best area and ratio."""
    best = torch.zeros_like(shape)
    for ratio in (1.0, 2.0):  # width : height of the anchor; the object is (shape, 1)
        for height in torch.logspace(-0.2, 1.2, 400, dtype=torch.float64):
            inter = torch.minimum(shape, ratio * height) * height.clamp(max=1)
            best = torch.maximum(best, inter / (shape + ratio * height**2 - inter))
    return best


FIGURES = {"anchors.jpg": fifteen, "anchors_thin.svg": thin}
