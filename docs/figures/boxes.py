"""Crops of the running image and outlines of boxes on them, in the same colours in every chapter."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

TRUTH, GUESS, ANCHOR = "#00c08b", "#ff9d2e", "#4db8ff"  # ground truth, detection or proposal, anchor


def show_crop(ax: Axes, image: Tensor, region: tuple[int, int, int, int]) -> None:
    """Show the region x1 y1 x2 y2 of an image (3, H, W); the axes keep the image's pixel coordinates."""
    x1, y1, x2, y2 = region
    ax.imshow(image[:, y1:y2, x1:x2].permute(1, 2, 0).numpy(), extent=(x1, x2, y2, y1), interpolation="nearest")
    ax.set(xticks=[], yticks=[])


def outline(ax: Axes, box: Iterable[float], colour: str, width: float = 2, style: str = "-", fill: float = 0) -> None:
    """Draw one box x1 y1 x2 y2, filled with the opacity `fill`."""
    x1, y1, x2, y2 = (float(value) for value in box)
    if fill:
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, facecolor=colour, alpha=fill, edgecolor="none"))
    ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=width, linestyle=style))
