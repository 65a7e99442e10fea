"""The figure of the chapter on large images: one dirty point as the network gets it at four sizes of input."""

from __future__ import annotations

import torch
from figures.running import running_image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from fasterfpn.models.config import ImageConfig
from fasterfpn.models.images import network_size

SIDES = (960, 480, 224, 120)


def dirty_point() -> Figure:
    """The running image's dirty point after resizing to several shorter sides, with the cells of P2 drawn over it."""
    image, target = running_image()
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    for axis, side in zip(figure.subplots(1, len(SIDES)), SIDES, strict=True):
        size = network_size(image.shape[1:], ImageConfig(image_min_side=side, image_max_side=4 * side))
        small = F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
        factor = size[0] / image.shape[1]
        x1, y1, x2, y2 = (target["boxes"][1] * factor).tolist()
        half = 40 * factor
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        axis.imshow(small.permute(1, 2, 0).clamp(0, 1), interpolation="nearest")
        axis.add_patch(_box(x1, y1, x2, y2))
        axis.set_xlim(cx - half - 0.5, cx + half - 0.5)
        axis.set_ylim(cy + half - 0.5, cy - half - 0.5)
        for line in torch.arange(0, 2000, 4).tolist():
            axis.axvline(line - 0.5, color="white", linewidth=0.4, alpha=0.5)
            axis.axhline(line - 0.5, color="white", linewidth=0.4, alpha=0.5)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title(f"shorter side {side}: {x2 - x1:.0f} x {y2 - y1:.0f} px", fontsize=10)
    return figure


def _box(x1: float, y1: float, x2: float, y2: float) -> Rectangle:
    return Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor="#ffe600", linewidth=1.5)


FIGURES = {"15_dirty_point.png": dirty_point}
