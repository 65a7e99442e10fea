"""Loss curves as in the paper's figure 10: the total loss and its four parts over the steps of training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TITLES = {
    "total_loss": "total loss",
    "rpn_cls_loss": "RPN, classification",
    "rpn_loc_loss": "RPN, location",
    "roi_cls_loss": "box head, classification",
    "roi_loc_loss": "box head, location",
}
COLOURS = ("darkgreen", "#d9772b", "#4a6fa5")
LAYOUT = [["total_loss", "rpn_cls_loss", "rpn_loc_loss"], ["total_loss", "roi_cls_loss", "roi_loc_loss"]]


def loss_figure(runs: Mapping[str, Mapping[str, np.ndarray]], size: tuple[float, float]) -> Figure:
    """The five losses of one or several runs by name, as a figure of `size` in inches.

    A run has the columns `step` and the losses' names, (R,) each for R records. The records are drawn lightly, their
    running mean over a twentieth of them boldly, on axes that start at 0. R = 0 gives empty axes.
    """
    figure = Figure(figsize=size, layout="constrained")  # without pyplot: PNG goes through Agg anywhere
    axes = figure.subplot_mosaic(LAYOUT, width_ratios=[2, 1, 1])
    for (run, columns), colour in zip(runs.items(), COLOURS):
        for name, title in TITLES.items():
            draw_curve(axes[name], columns["step"], columns[name], title, colour, run)
    if len(runs) > 1:
        axes["total_loss"].legend(frameon=False)
    return figure


def draw_curve(axis: Axes, step: np.ndarray, loss: np.ndarray, title: str, colour: str, run: str) -> None:
    """One run's curve in a panel: `loss` (R,) over `step` (R,) of R records."""
    axis.plot(step, loss, color=colour, alpha=0.3, linewidth=1, marker="." if len(step) < 40 else None)
    axis.plot(step, running_mean(loss, max(1, len(loss) // 20)), color=colour, linewidth=1.8, label=run)
    axis.set_title(title, fontsize=11)
    axis.set_xlabel("step")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and the `window - 1` before it, fewer at the start: float64 (R,), it never looks ahead."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    return (sums[end] - sums[start]) / (end - start)
