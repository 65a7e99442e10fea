"""Figure of chapter 3: an image as stored and as shown, and two images in one padded batch."""

from __future__ import annotations

import torch
from figures.running import running_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from fasterfpn.models.config import ImageConfig
from fasterfpn.models.images import prepare_images


def stored_shown_batched() -> Figure:
    """The pixels of the file under the boxes; the upright image; the batch that holds it beside a wide one."""
    figure = Figure(figsize=(12, 3.9), dpi=100, layout="constrained")
    image, target = running_image()
    panels = figure.subplots(1, 3, width_ratios=[0.75, 1, 1.45])
    stored = image.flip(1).transpose(1, 2)  # what a camera held upright writes, with orientation 6
    for axes, pixels, title in (
        (panels[0], stored, "in the file: 960 x 1280"),
        (panels[1], image, "as shown: 1280 x 960"),
    ):
        show(axes, pixels, title)
        outline(axes, target["boxes"])
    config = ImageConfig()
    batch = prepare_images([image, image[:, 180:780]], config)
    mean, std = (torch.tensor(value)[:, None, None] for value in (config.image_mean, config.image_std))
    first = batch.pixels[0] * std + mean
    height, width = first.shape[1:]
    show(panels[2], first, f"in a batch beside a 1280 x 600 image: {width} x {height}")
    outline(panels[2], batch.to_batch(target["boxes"], 0))
    panels[2].text(1310, 500, "padding:\nzeros, which\nare the mean\ncolour", va="center", fontsize=10)
    return figure


def show(axes: Axes, pixels: Tensor, title: str) -> None:
    """Show an image (3, H, W) in 0..1 with its sides as ticks."""
    height, width = pixels.shape[1:]
    axes.imshow(pixels.permute(1, 2, 0).clamp(0, 1).numpy(), extent=(0, width, height, 0))
    axes.set(title=title, xlim=(0, width), ylim=(height, 0), xticks=[0, width], yticks=[0, height])


def outline(axes: Axes, boxes: Tensor) -> None:
    """Draw boxes (N, 4)."""
    for x1, y1, x2, y2 in boxes.tolist():
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#ffd23f", lw=1.8))


FIGURES = {"images.jpg": stored_shown_batched}
