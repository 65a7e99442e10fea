"""Loss curves as in the paper's figure 10: the total loss and its four parts over the steps of training."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fasterfpn.errors import InputError

TITLES = {
    "total_loss": "total loss",
    "rpn_cls_loss": "RPN, classification",
    "rpn_loc_loss": "RPN, location",
    "roi_cls_loss": "box head, classification",
    "roi_loc_loss": "box head, location",
}
COLOURS = ("darkgreen", "#d9772b", "#4a6fa5")
LAYOUT = [["total_loss", "rpn_cls_loss", "rpn_loc_loss"], ["total_loss", "roi_cls_loss", "roi_loc_loss"]]


def loss_curve(csv_path: Path, png_path: Path) -> None:
    """Draw the five losses of a run's CSV (columns `step` and the losses' names, others ignored) into a PNG.

    The records are drawn lightly, their running mean over a twentieth of them boldly, on axes that start at 0.
    A file without rows gives empty axes. Raises InputError for a missing file, column or number.
    """
    figure = loss_figure({"": read_losses(csv_path)}, size=(12, 5.5))
    png_path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png_path, dpi=120)


def loss_figure(runs: Mapping[str, Mapping[str, np.ndarray]], size: tuple[float, float]) -> Figure:
    """The same as a figure of `size` in inches, for one or several runs by name: columns `step` and the losses."""
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


def read_losses(csv_path: Path) -> dict[str, np.ndarray]:
    """The columns `step` and the five losses, float64 (R,) each."""
    try:
        with csv_path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"cannot read the losses {csv_path}: {error.strerror}") from error
    try:
        return {name: np.array([float(row[name]) for row in rows]) for name in ("step", *TITLES)}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{csv_path} needs the columns step, {', '.join(TITLES)} with a number in each row") from error
