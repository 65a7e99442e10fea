"""Figures of chapter 4: what one cell of each stage can see, and the pyramid's sum in numbers."""

from __future__ import annotations

import torch
from figures.running import SIZE, running_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from fasterfpn.models.fpn import FPN

FIELDS = {"C2": 35, "C3": 91, "C4": 811, "C5": 971}  # pixels; worked out in the chapter
COLOURS = ("#ffd23f", "#ff8c42", "#ff4f79", "#6fe3ff")
CENTRE = (550, 439)  # x, y on the scratch


def fields() -> Figure:
    """Receptive fields of ResNet-101's stages around one point of the scratch."""
    figure = Figure(figsize=(8, 6.1), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.imshow(running_image()[0].permute(1, 2, 0).numpy(), extent=(0, SIZE[1], SIZE[0], 0))
    tops = (CENTRE[1] + 52, CENTRE[1] - 56, 64, 24)  # of the names, clear of each other
    for (name, side), colour, top in zip(FIELDS.items(), COLOURS, tops, strict=True):
        x, y = CENTRE[0] - side / 2, CENTRE[1] - side / 2
        axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=colour, lw=2))
        words = f"{name}: {side} x {side}"
        axes.text(CENTRE[0], top, words, color=colour, weight="bold", ha="center", va="center").set_bbox(
            {"facecolor": "black", "alpha": 0.45, "pad": 1.5, "edgecolor": "none"}
        )
    axes.set(xlim=(0, SIZE[1]), ylim=(SIZE[0], 0), xticks=range(0, 1281, 320), yticks=range(0, 961, 240))
    return figure


def by_hand() -> Figure:
    """The chapter's example: C5 at twice its size, plus C4; P6 is every second cell of P5."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    upper, lower = example()
    fpn = plain_pyramid(levels=2)
    finer, coarser, coarsest = fpn([lower, upper])
    panels = (
        ("P5, from C5", coarser),
        ("twice the size", coarser.repeat_interleave(2, 2).repeat_interleave(2, 3)),
        ("+ C4", lower),
        ("= P4", finer),
        ("P6, from P5", coarsest),
    )
    for axes, (title, level) in zip(figure.subplots(1, 5), panels, strict=True):
        numbers(axes, level[0, 0])
        axes.set_title(title, fontsize=10)
    return figure


def example() -> tuple[Tensor, Tensor]:
    """C5 (1, 1, 2, 2) and C4 (1, 1, 4, 4) of the example."""
    lower = torch.zeros(1, 1, 4, 4)
    lower[0, 0, 1, 2] = 10
    return torch.tensor([[[[1.0, 2], [3, 4]]]]), lower


def plain_pyramid(levels: int) -> FPN:
    """A pyramid of one channel whose convolutions hand their input on."""
    fpn = FPN([1] * levels, 1)
    for convolution in [*fpn.laterals, *fpn.outputs]:
        nn.init.dirac_(convolution.weight)
    return fpn.requires_grad_(False)


def numbers(axes: Axes, grid: Tensor) -> None:
    """Write the numbers of a map (h, w) into cells, all maps at one scale of 4 cells."""
    for y, row in enumerate(grid.tolist()):
        for x, value in enumerate(row):
            side = 4 / len(row) if len(row) > 1 else 4
            colour = "#f4d6d8" if value >= 10 else "#e8f1f2"
            axes.add_patch(Rectangle((x * side, y * side), side, side, facecolor=colour, edgecolor="#00798c"))
            axes.text((x + 0.5) * side, (y + 0.5) * side, f"{value:.0f}", ha="center", va="center")
    axes.set(xlim=(-0.1, 4.1), ylim=(4.1, -0.1), aspect="equal")
    axes.axis("off")


FIGURES = {"receptive_fields.jpg": fields, "pyramid_by_hand.svg": by_hand}
