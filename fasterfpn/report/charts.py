"""Draws the charts of the report from the numbers of report.json, each as a matplotlib figure.

`networks` is one seed's "networks" in report.json: the results of each network by name. Class names are drawn as
`lettering.shown` gives them; the caller sets the fonts (`lettering.chart_families`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fasterfpn.report.curves import COLOURS, legend, plain
from fasterfpn.report.lettering import shown
from fasterfpn.report.tables import Numbers, bin_name

LIGHT, DARK, ORANGE, GREY = "#8fbf9f", "darkgreen", "#d9772b", "#555555"


def class_counts(data: Numbers) -> Figure:
    """The paper's figure 2: how many images of each part show each class."""
    names = list(data["train"]["images_by_class"])
    figure, axis = _bar_chart([plain_text(name) for name in names], "images")
    below = np.zeros(len(names))
    for part, text, colour in (("train", "training", DARK), ("val", "validation", LIGHT), ("test", "test", ORANGE)):
        count = np.array([data[part]["images_by_class"][name] for name in names])
        axis.bar(range(len(names)), count, bottom=below, color=colour, label=text)
        below += count
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure)
    return figure


def anchor_matches(anchors: Numbers) -> Figure:
    """How many objects each anchor shape can match."""
    ratios = [f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}" for ratio in anchors["ratios"]]
    names = [f"{side:.0f}² {ratio}" for side in anchors["sides"] for ratio in ratios]
    figure, axis = _bar_chart(names, f"of {anchors['objects']} objects")
    for (limit, count), colour in zip(anchors["matches"].items(), (LIGHT, DARK), strict=True):
        axis.bar(range(len(names)), count, color=colour, label=f"IoU ≥ {limit}")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure)
    return figure


def ap_by_class(networks: Mapping[str, Numbers], paper: Mapping[str, float]) -> Figure:
    """The paper's figure 11: AP of each class with its 95 % interval; diamonds are the paper's multiscale network."""
    kinds = list(next(iter(networks.values()))["AP"])
    figure, axis = _bar_chart([plain_text(kind) for kind in kinds], "AP (%)", height=4)
    _ap_bars(axis, {name: [network["AP"][kind] for kind in kinds] for name, network in networks.items()})
    marks = [(index, paper[kind]) for index, kind in enumerate(kinds) if kind in paper]
    if marks:
        axis.plot(*zip(*marks), "D", color="#222222", markersize=5, label="multiscale, the paper")
    legend(figure)
    return figure


def ap_by_short_side(networks: Mapping[str, Numbers]) -> Figure:
    """AP with its 95 % interval for each bin of the objects' shorter side."""
    bins = next(iter(networks.values()))["by_short_side"]
    names = [f"{bin_name(entry)}\n{entry['objects']} objects" for entry in bins]
    figure, axis = _bar_chart(names, "AP (%)", rotation=0)
    _ap_bars(axis, {name: [entry["AP"] for entry in network["by_short_side"]] for name, network in networks.items()})
    legend(figure)
    return figure


def _bar_chart(names: Sequence[str], ylabel: str, height: float = 3.6, rotation: int = 30) -> tuple[Figure, Axes]:
    """An empty bar chart with the names under its places 0, 1, .. on the x axis."""
    figure = Figure(figsize=(8.5, height), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    axis.grid(visible=False, axis="x")
    axis.set_xticks(range(len(names)), names, rotation=rotation, ha="right" if rotation else "center")
    axis.set_ylabel(ylabel)
    return figure, axis


def _ap_bars(axis: Axes, networks: Mapping[str, Sequence[Numbers]]) -> None:
    """Bars of AP in percent with their intervals: for each network one {"value", "low", "high"} a place."""
    width = 0.8 / len(networks)
    for number, ((name, AP), colour) in enumerate(zip(networks.items(), COLOURS)):
        at = np.arange(len(AP)) + (number - (len(networks) - 1) / 2) * width
        value, low, high = (
            np.array([np.nan if entry[key] is None else 100 * entry[key] for entry in AP])
            for key in ("value", "low", "high")
        )
        error = np.nan_to_num([value - low, high - value]).clip(min=0)
        axis.bar(at, np.nan_to_num(value), width, color=colour, label=name)
        axis.errorbar(at, np.nan_to_num(value), error, fmt="none", ecolor=GREY, elinewidth=1, capsize=2)
    axis.set_ylim(0, 105)


def precision_recall(networks: Mapping[str, Numbers]) -> Figure:
    """A panel for each class with the precision envelope over recall."""
    classes = list(next(iter(networks.values()))["precision_recall"])
    columns = min(5, len(classes))
    rows = -(-len(classes) // columns)
    figure = Figure(figsize=(max(2.1 * columns, 4), 2.1 * rows + 0.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axis, kind in zip(panels, classes):
        curves = {name: network["precision_recall"][kind] for name, network in networks.items()}
        for (name, curve), colour in zip(curves.items(), COLOURS):
            if curve is not None:
                axis.plot(np.linspace(0, 1, len(curve)), curve, color=colour, label=name)
        if not any(curves.values()):
            axis.text(0.5, 0.5, "no test object", transform=axis.transAxes, ha="center", va="center", color=GREY)
        axis.set_title(textwrap.fill(plain_text(kind), 20), fontsize=10)
        axis.set_ylim(-0.02, 1.05)
        plain(axis)
    for axis in panels[len(classes) :]:
        axis.set_visible(False)
    figure.supxlabel("recall", fontsize=10)
    figure.supylabel("precision", fontsize=10)
    legend(figure)
    return figure


def plain_text(name: str) -> str:
    """A class name with its dollars escaped: matplotlib would set text between dollars as a formula."""
    return shown(name).replace("$", r"\$")
