"""Chapter 10: the three defects with their levels; the crater on P2 and the scratch on P3: cells, bins and maxima."""

from __future__ import annotations

import torch
from figures.running import CLASSES, running_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn import functional as F

from fasterfpn.geometry import assign_levels
from fasterfpn.ops import reference

BINS = 7
INK, BOX = "#d62728", "#ffb000"
LETTERING = {"facecolor": "black", "pad": 1.5, "lw": 0}


def brightness(stride: int) -> Tensor:
    """Return the running image's brightness in 0..1, averaged over stride x stride pixels: (1, 1, 960 / s, 1280 / s).

    It stands in for a channel of a feature map; cell k is centred at pixel k * stride.
    """
    image, _ = running_image()
    half = stride // 2
    padded = F.pad(image.mean(0)[None, None], (half, half, half, half), mode="replicate")
    return F.avg_pool2d(padded, stride)[..., :-1, :-1]


def roi(index: int) -> Tensor:
    """Return the defect's box as a RoI (1, 5) in the first image."""
    return F.pad(running_image()[1]["boxes"][index : index + 1], (1, 0))


def levels_and_bins() -> Figure:
    """Return the main figure."""
    figure = Figure((12, 4), layout="constrained")
    image, cells, pooled = figure.subplots(1, 3, width_ratios=(1.6, 1.75, 1))
    _draw_levels(image)
    feature = 1 - brightness(4)
    _draw_cells(cells, feature, roi(2), 4, tracks=2)
    cells.set_title("2. P2: the crater's cells and bins", fontsize=11)
    values, _ = reference.roi_max_pool([feature], roi(2), torch.zeros(1).long(), [1 / 4], BINS)
    pooled.imshow(values[0, 0], cmap="gray", vmin=0.2, vmax=0.8)
    for y in range(BINS):
        for x in range(BINS):
            value = values[0, 0, y, x].item()
            pooled.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=_contrast(value))
    pooled.set_title("3. their maxima, 7 x 7", fontsize=11)
    pooled.set_xticks([])
    pooled.set_yticks([])
    return figure


def scratch_bins() -> Figure:
    """Return the scratch on P3: seven rows of bins on three rows of cells."""
    figure = Figure((12, 3.2), layout="constrained")
    axes = figure.subplots()
    _draw_cells(axes, brightness(8), roi(0), 8, tracks=BINS)
    axes.set_aspect("auto")
    axes.set_yticks((54, 55, 56))
    return figure


def _draw_levels(axes: Axes) -> None:
    image, target = running_image()
    axes.imshow(image.permute(1, 2, 0)[::2, ::2], extent=(0, 1280, 960, 0))
    levels = assign_levels(target["boxes"]).tolist()
    for box, label, level in zip(target["boxes"].tolist(), target["labels"].tolist(), levels, strict=True):
        x1, y1, x2, y2 = box
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=BOX, linewidth=1.5))
        words = f"{CLASSES[label - 1]}, {x2 - x1:.0f} x {y2 - y1:.0f}: P{level}"
        place = {"x": x2, "ha": "right"} if x1 > 640 else {"x": x1}
        axes.text(y=y1 - 14, s=words, color="white", fontsize=9, bbox=LETTERING, **place)
    axes.set_title("1. which level (eq. 2)", fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_cells(axes: Axes, feature: Tensor, region: Tensor, stride: int, tracks: int) -> None:
    """Draw a region's cells, its corners before and after rounding, a bracket for each bin, a dot at each maximum.

    The brackets of the rows stand in so many `tracks` beside each other, so that their overlap shows.
    """
    height, width = feature.shape[2:]
    ys, xs = (edges[:, 0] for edges in reference.bin_edges(region, 1 / stride, (height, width), BINS))
    (left, right), (top, bottom) = (xs[0, 0] - 0.5, xs[1, -1] - 0.5), (ys[0, 0] - 0.5, ys[1, -1] - 0.5)
    step_x, step_y = 0.022 * (right - left), 0.05 * (bottom - top)
    axes.imshow(feature[0, 0], cmap="gray", vmin=0.2, vmax=0.8)
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=INK, linewidth=1.6))
    x1, y1, x2, y2 = (region[0, 1:] / stride).tolist()
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=BOX, linestyle="--", linewidth=1.6))
    for i in range(BINS):
        y = (top - (1 + i % 2) * step_y).expand(2)
        axes.plot((xs[0, i] - 0.45, xs[1, i] - 0.55), y, color=INK, linewidth=3, solid_capstyle="butt")
        x = (left - (1 + i % tracks) * step_x).expand(2)
        axes.plot(x, (ys[0, i] - 0.45, ys[1, i] - 0.55), color=INK, linewidth=3, solid_capstyle="butt")
    _, argmax = reference.roi_max_pool([feature], region, torch.zeros(1).long(), [1 / stride], BINS)
    cells = argmax.unique()
    axes.plot(cells % width, cells // width, "o", color=INK, markersize=3.5)
    axes.set_xlim(left - (tracks + 1) * step_x, right + step_x)
    axes.set_ylim(bottom + step_y, top - 3 * step_y)


def _contrast(value: float) -> str:
    return "white" if value < 0.5 else "black"


FIGURES = {"10_levels_and_bins.svg": levels_and_bins, "10_scratch_bins.svg": scratch_bins}
