"""Draws the curves of a training: the losses as in the paper's figure 10, and validation mAP, over the steps.

R records of a run: the rows of losses.csv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
LAYOUT = [["total_loss", "rpn_cls_loss", "rpn_loc_loss"], ["total_loss", "roi_cls_loss", "roi_loc_loss"]]
COLOURS = ("darkgreen", "#d9772b", "#4a6fa5")  # of the networks, in their order


def loss_figure(runs: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """The five losses of one or several runs by name.

    A run has the columns `step` and the losses' names, (R,) each. Thin lines are the records, thick lines their running
    mean over a twentieth of the run; all axes start at 0. R = 0 gives empty axes.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")  # not pyplot, which would ask for a display
    axes = figure.subplot_mosaic(LAYOUT, width_ratios=[2, 1, 1])
    for name, title in TITLES.items():
        axis = axes[name]
        for (run, columns), colour in zip(runs.items(), COLOURS):
            step, loss = columns["step"], columns[name]
            axis.plot(step, loss, color=colour, alpha=0.3, linewidth=1, marker="." if len(step) < 40 else None)
            axis.plot(step, running_mean(loss, max(1, len(loss) // 20)), color=colour, linewidth=1.8, label=run)
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)  # after all runs: it ends the automatic choice of the upper limit
        plain(axis)
    legend(figure)
    return figure


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and the `window - 1` before it, of fewer at the start: float64 (R,)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    return (sums[end] - sums[start]) / (end - start)


def validation_figure(runs: Mapping[str, Sequence[tuple[int, float | None]]]) -> Figure:
    """mAP on the validation part for one or several runs by name, each a list of (step, mAP); None is left out."""
    figure = Figure(figsize=(8.5, 3), layout="constrained")
    axis = figure.subplots()
    for (name, run), colour in zip(runs.items(), COLOURS):
        points = np.array([(step, 100 * mAP) for step, mAP in run if mAP is not None]).reshape(-1, 2)
        axis.plot(*points.T, "o-", color=colour, label=name, clip_on=False)
    axis.set_xlabel("step")
    axis.set_ylabel("validation mAP (%)")
    axis.set_xlim(left=0)
    axis.set_ylim(0, max(5, axis.get_ylim()[1]))
    plain(axis)
    legend(figure)
    return figure


def plain(axis: Axes) -> None:
    """A light grid behind the drawing, no frame at the top and on the right."""
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def legend(figure: Figure) -> None:
    """One legend for all panels, above them, where it hides nothing; none for a single entry."""
    entries = [axis.get_legend_handles_labels() for axis in figure.axes]
    handles = {label: handle for handles, labels in entries for handle, label in zip(handles, labels)}
    if len(handles) > 1:
        names = list(handles)
        figure.legend(handles.values(), names, loc="outside upper center", ncols=len(names), frameon=False)
