"""The figure of the experiment's chapter, from the committed report of the four trainings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

REPORT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "experiment_cpu.json"


def gain() -> Figure:
    """Gain of AP by shorter side of the object, an error bar a seed."""
    seeds = json.loads(REPORT.read_text(encoding="utf-8"))["seeds"]
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axis = figure.subplots()
    for offset, (seed, entry), colour in zip((-0.1, 0.1), seeds.items(), ("#2c7fb8", "#d9772b"), strict=True):
        bins = entry["networks"]["multiscale"]["by_short_side"]
        gains = entry["gains"]["multiscale"]["by_short_side"]
        value, low, high = (100 * np.array([gain[key] for gain in gains]) for key in ("value", "low", "high"))
        at = np.arange(len(bins)) + offset
        axis.errorbar(at, value, [value - low, high - value], fmt="o", color=colour, capsize=3, label=f"seed {seed}")
    names = [f"{b['low']:g} to {b['high']:g} px" if b["high"] else f"{b['low']:g} px and more" for b in bins]
    axis.set_xticks(range(len(bins)), [f"{name}\n{b['objects']} objects" for name, b in zip(names, bins, strict=True)])
    axis.axhline(0, color="#555555", linewidth=1)
    axis.set_ylabel("gain of AP (points)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return figure


FIGURES = {"experiment_gain.svg": gain}
