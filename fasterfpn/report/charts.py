"""The charts of the report, each a matplotlib figure made from numbers of report.json.

Class names are drawn as `lettering.shown` gives them; the caller sets the fonts (`lettering.chart_families`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fasterfpn.report.curves import COLOURS  # of the networks, in their order
from fasterfpn.report.lettering import shown
from fasterfpn.report.tables import Numbers, bin_name

PAPER = "#222222"


def _axes(width: float = 8.5, height: float = 3.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    _plain(axis)
    return figure, axis


def _plain(axis: Axes) -> None:
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _named(axis: Axes, names: Sequence[str]) -> None:
    """The names under the bars of a chart over categories."""
    axis.set_xticks(range(len(names)), map(_plain_text, names), rotation=30, ha="right")
    axis.grid(visible=False, axis="x")


def _plain_text(text: str) -> str:
    """A class name as it is: between dollars, matplotlib would set it as a formula."""
    return shown(text).replace("$", r"\$")


def _legend(figure: Figure) -> None:
    """Above the chart, where it hides nothing; one for all panels."""
    entries = [axis.get_legend_handles_labels() for axis in figure.axes]
    handles = {label: handle for handles, labels in entries for handle, label in zip(handles, labels)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles) or 1, frameon=False)


def class_counts(data: Numbers) -> Figure:
    """Figure 2: images that show each class, of each part."""
    figure, axis = _axes()
    names, below = list(data["train"]["images_by_class"]), 0
    parts = {"train": "training", "val": "validation", "test": "test"}
    for (part, text), colour in zip(parts.items(), ("darkgreen", "#8fbf9f", "#d9772b"), strict=True):
        count = np.array([data[part]["images_by_class"][name] for name in names])
        axis.bar(range(len(names)), count, bottom=below, color=colour, label=text)
        below = below + count
    _named(axis, names)
    axis.set_ylabel("images")
    _legend(figure)
    return figure


def anchor_matches(anchors: Numbers) -> Figure:
    """Figure 8: objects that each anchor shape can match."""
    figure, axis = _axes()
    names = [f"{side:.0f}² {_ratio(ratio)}" for side in anchors["sides"] for ratio in anchors["ratios"]]
    for (limit, count), colour in zip(anchors["matches"].items(), ("#8fbf9f", "darkgreen"), strict=True):
        axis.bar(range(len(names)), count, color=colour, label=f"IoU ≥ {limit}")
    _named(axis, names)
    axis.set_ylabel(f"of {anchors['objects']} objects")
    _legend(figure)
    return figure


def _ratio(ratio: float) -> str:
    return f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"


def validation_curves(networks: Mapping[str, Numbers]) -> Figure:
    """mAP on the validation part over the steps of training."""
    figure, axis = _axes(height=3)
    for (name, network), colour in zip(networks.items(), COLOURS):
        points = [(step, 100 * mAP) for step, mAP in network["validation"] if mAP is not None]
        axis.plot(*zip(*points) if points else ([], []), "o-", color=colour, label=name)
    axis.set_xlabel("step")
    axis.set_ylabel("validation mAP (%)")
    axis.set_ylim(0, max(5, axis.get_ylim()[1]))
    _legend(figure)
    return figure


def precision_recall(networks: Mapping[str, Numbers]) -> Figure:
    """A panel for each class: the precision envelope over recall."""
    classes = list(next(iter(networks.values()))["precision_recall"])
    columns = min(5, len(classes))
    rows = -(-len(classes) // columns)
    figure = Figure(figsize=(max(2.1 * columns, 4), 2.1 * rows + 0.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axis, kind in zip(panels, classes):
        for (name, network), colour in zip(networks.items(), COLOURS):
            curve = network["precision_recall"][kind]
            if curve is not None:
                axis.plot(np.linspace(0, 1, len(curve)), curve, color=colour, label=name)
        axis.set_title(textwrap.fill(_plain_text(kind), 20), fontsize=10)
        _plain(axis)
        axis.set_ylim(-0.02, 1.05)
        if all(network["precision_recall"][kind] is None for network in networks.values()):
            axis.text(0.5, 0.5, "no test object", transform=axis.transAxes, ha="center", va="center", color="#777777")
    for axis in panels[len(classes) :]:
        axis.set_visible(False)
    figure.supxlabel("recall", fontsize=10)
    figure.supylabel("precision", fontsize=10)
    _legend(figure)
    return figure


def ap_by_class(networks: Mapping[str, Numbers], paper: Mapping[str, float]) -> Figure:
    """Figure 11: bars with 95 % intervals; the paper's multiscale network as diamonds."""
    names = list(next(iter(networks.values()))["AP"])
    figure, axis = _axes(height=4)
    bars = {name: [network["AP"][kind] for kind in names] for name, network in networks.items()}
    _bars(axis, bars)
    marks = [(index, paper[kind]) for index, kind in enumerate(names) if kind in paper]
    if marks:
        axis.plot(*zip(*marks), "D", color=PAPER, markersize=5, label="multiscale, the paper")
    _named(axis, names)
    _legend(figure)
    return figure


def ap_by_short_side(networks: Mapping[str, Numbers]) -> Figure:
    """Bars with 95 % intervals, one group a bin of the objects' shorter side."""
    figure, axis = _axes()
    bins = next(iter(networks.values()))["by_short_side"]
    _bars(axis, {name: [entry["AP"] for entry in network["by_short_side"]] for name, network in networks.items()})
    axis.set_xticks(range(len(bins)), [f"{bin_name(entry)}\n{entry['objects']} objects" for entry in bins])
    axis.grid(visible=False, axis="x")
    _legend(figure)
    return figure


def _bars(axis: Axes, groups: Mapping[str, Sequence[Numbers]]) -> None:
    """AP in percent with its interval: for each network one {"value", "low", "high"} a place on the x axis."""
    width = 0.8 / len(groups)
    for number, ((name, figures), colour) in enumerate(zip(groups.items(), COLOURS)):
        at = np.arange(len(figures)) + (number - (len(groups) - 1) / 2) * width
        value, low, high = (
            np.array([np.nan if entry[key] is None else 100 * entry[key] for entry in figures])
            for key in ("value", "low", "high")
        )
        error = np.nan_to_num([value - low, high - value]).clip(min=0)
        axis.bar(at, np.nan_to_num(value), width, color=colour, label=name)
        axis.errorbar(at, np.nan_to_num(value), error, fmt="none", ecolor="#555555", elinewidth=1, capsize=2)
    axis.set_ylabel("AP (%)")
    axis.set_ylim(0, 105)
