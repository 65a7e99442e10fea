"""Figures of chapter 17: the cells that NMS looks at from v3 on."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fasterfpn.ops import nms

THRESHOLD, COUNT, SIZE = 0.7, 260, (832, 512)
OCTAVE = 64  # the level drawn holds boxes whose longer side is in 64..128, in cells of that size


def kept_boxes() -> torch.Tensor:
    """Return uniform boxes as the benchmark makes them, after NMS."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.rand(COUNT, 2, generator=generator) * torch.tensor(SIZE)
    sides = torch.exp(0.6 * torch.randn(COUNT, 2, generator=generator)) * 64
    boxes = torch.cat([centres - sides / 2, centres + sides / 2], dim=1)
    return boxes[nms(boxes, torch.rand(COUNT, generator=generator), THRESHOLD)]


def cells_looked_at(box: torch.Tensor) -> tuple[int, int, int, int]:
    """Return the first and last column and row in which a corner x1, y1 can lie of a box that `box` overlaps enough."""
    x1, y1, x2, y2 = box.tolist()
    width, height = x2 - x1, y2 - y1
    need_x, need_y = THRESHOLD * width, THRESHOLD * height
    wide, high = min(2 * OCTAVE, width / THRESHOLD), min(2 * OCTAVE, height / THRESHOLD)
    bounds = x1 + need_x - wide, x2 - need_x, y1 + need_y - high, y2 - need_y
    return tuple(math.floor(bound / OCTAVE) for bound in bounds)


def grid_of_boxes() -> Figure:
    """One level of the grid: the boxes of its octave, those in the cells that one box looks at, and that box."""
    boxes = kept_boxes()
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    boxes = boxes[(longer >= OCTAVE) & (longer < 2 * OCTAVE)]
    asked = boxes[(boxes - torch.tensor([380.0, 200.0, 450.0, 280.0])).norm(dim=1).argmin()]
    left, right, top, bottom = cells_looked_at(asked)
    column, row = (boxes[:, 0] / OCTAVE).floor(), (boxes[:, 1] / OCTAVE).floor()
    near = (column >= left) & (column <= right) & (row >= top) & (row <= bottom) & (boxes != asked).any(1)
    figure = Figure(figsize=(9, 5.8), layout="constrained")
    ax = figure.subplots()
    cells = (left * OCTAVE, top * OCTAVE), (right - left + 1) * OCTAVE, (bottom - top + 1) * OCTAVE
    ax.add_patch(Rectangle(*cells, facecolor="#ffe8b0"))
    for box, style in [*((box, near[i]) for i, box in enumerate(boxes)), (asked, None)]:
        colour, width = ("#c0392b", 3) if style is None else ("#1f5fa8", 2) if style else ("#9a9a9a", 1)
        side = (box[2:] - box[:2]).tolist()
        ax.add_patch(Rectangle(box[:2].tolist(), *side, fill=False, edgecolor=colour, linewidth=width))
        ax.plot(*box[:2].tolist(), "o", color=colour, markersize=2 + width)
    ax.set(xlim=(0, SIZE[0]), ylim=(SIZE[1], 0), aspect="equal")
    ax.set(xticks=range(0, SIZE[0] + 1, OCTAVE), yticks=range(0, SIZE[1] + 1, OCTAVE))
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    ax.grid(color="#bbbbbb", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_title(f"{len(boxes)} kept boxes of this size; the red one is compared with {int(near.sum())}", fontsize=12)
    return figure


FIGURES = {"17_grid.svg": grid_of_boxes}
