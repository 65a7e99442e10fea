"""Chapter 8: the 256 anchors of the running image that the RPN's loss sees, and the two losses as curves."""

from __future__ import annotations

from functools import cache

import torch
from figures.running import SIZE, running_image
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from fasterfpn.geometry import Anchors, pyramid_anchors
from fasterfpn.models.config import RpnConfig
from fasterfpn.models.losses import binary_cross_entropy, smooth_l1
from fasterfpn.models.rpn import RPN, AnchorTargets

INK, BOX, OTHER = "#d62728", "#ffb000", "#1f77b4"


@cache
def sampled_targets() -> tuple[list[Tensor], AnchorTargets]:
    """Return the anchors (Rl, 4) of P2..P6 and what the sampled ones among them should say (seed 0)."""
    rpn, anchors = RPN(8, RpnConfig(), Anchors()), pyramid_anchors(SIZE)
    truth = [running_image()[1]["boxes"]]
    return anchors, rpn.assign_targets(anchors, truth, [SIZE], torch.Generator().manual_seed(0))


def loss() -> Figure:
    """Return the figure: the sample on the image, eq. 5 over the logit, eq. 6 over the difference."""
    figure = Figure((12, 4.1), layout="constrained")
    image, entropy, location = figure.subplots(1, 3, width_ratios=(1.7, 1, 1))
    _draw_sample(image)
    _draw_entropy(entropy)
    _draw_location(location)
    for axes in (entropy, location):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        axes.set_ylim(0, 5)
    return figure


def _draw_sample(axes: Axes) -> None:
    image, target = running_image()
    anchors, targets = sampled_targets()
    everywhere = torch.cat(anchors)
    axes.imshow(image.permute(1, 2, 0)[::2, ::2], extent=(0, 1280, 960, 0))
    _draw_boxes(axes, everywhere[targets.sampled[targets.labels == 0]], "white", 0.5)
    _draw_boxes(axes, target["boxes"], BOX, 2)
    _draw_boxes(axes, everywhere[targets.objects], INK, 2)
    axes.set_xlim(0, 1280)
    axes.set_ylim(960, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("256 of 306,900 anchors enter: 3 objects (red)", fontsize=11)


def _draw_boxes(axes: Axes, boxes: Tensor, colour: str, width: float) -> None:
    x1, y1, x2, y2 = boxes.unbind(1)
    corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2, x1, y1], dim=1).reshape(-1, 5, 2)
    axes.add_collection(LineCollection(corners.numpy(), colors=colour, linewidths=width))


def _draw_entropy(axes: Axes) -> None:
    z = torch.linspace(-6, 6, 121)
    axes.plot(z, binary_cross_entropy(z, torch.ones_like(z)), color=INK, label="object, p* = 1")
    axes.plot(z, binary_cross_entropy(z, torch.zeros_like(z)), color=OTHER, label="background, p* = 0")
    axes.set_xlabel("logit z")
    axes.set_title("eq. 5: L_cls", fontsize=11)


def _draw_location(axes: Axes) -> None:
    x = torch.linspace(-4, 4, 161)
    axes.plot(x, 0.5 * x * x, color="#999999", linestyle=":", label="x² / 2")
    axes.plot(x, x.abs(), color="#999999", linestyle="--", label="|x|")
    axes.plot(x, smooth_l1(x), color=INK, label="smooth L1")
    scratch = sampled_targets()[1].deltas[1]
    axes.plot(scratch, smooth_l1(scratch), "o", color=OTHER, label="the scratch's four")
    axes.set_xlabel("difference x")
    axes.set_title("eq. 6: L_reg", fontsize=11)


FIGURES = {"08_loss.jpg": loss}
