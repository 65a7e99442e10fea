"""Figures of the chapter on thresholds, from benchmarks/results/threshold.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

RESULT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "threshold.json"
THRESHOLDS = np.arange(0.12, 1, 0.01)


def curves() -> Figure:
    """Left: precision and recall over the threshold. Right: the cost of a part for two prices of a miss."""
    parts = json.loads(RESULT.read_text(encoding="utf-8"))
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for part, style in (("val", "--"), ("test", "-")):
        objects = sum(map(len, parts[part]["objects"]))
        _, scores, _, hits, _ = np.array(parts[part]["detections"]).T
        reported = np.array([(scores >= t).sum() for t in THRESHOLDS])
        found = np.array([(hits * (scores >= t)).sum() for t in THRESHOLDS])
        left.plot(THRESHOLDS, found / reported, style, color="#2c7fb8", label=f"precision, {part}")
        left.plot(THRESHOLDS, found / objects, style, color="#d9772b", label=f"recall, {part}")
        for price, colour in ((1, "#4dac26"), (5, "#c0392b")):
            cost = (price * (objects - found) + reported - found) / len(parts[part]["objects"])
            name = f"a miss costs {price}, {part}"
            right.plot(THRESHOLDS, cost, style, color=colour, label=name)
            right.plot(THRESHOLDS[cost.argmin()], cost.min(), "o", color=colour)
    for axis in (left, right):
        axis.set_xlabel("threshold")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9)
    right.set_ylabel("cost an image, in false alarms")
    left.set_ylim(0, 1.02)
    right.set_ylim(0, 3)
    return figure


def confusion() -> Figure:
    """Which kind is reported (columns) where which kind is (rows), at a threshold of 0.5 on the test part."""
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    names, test = content["classes"], content["test"]
    counts = np.zeros((len(names) + 1, len(names) + 1), int)
    for _, score, label, hit, there in test["detections"]:
        if score >= 0.5 and (hit or there != label):  # a second report of a found object is left out
            counts[there - 1 if there else -1, label - 1] += 1
    for place in range(len(names)):  # the last column: objects that nothing right was reported for
        hits = sum(hit for _, score, label, hit, _ in test["detections"] if score >= 0.5 and label == place + 1)
        counts[place, -1] = sum(labels.count(place + 1) for labels in test["objects"]) - hits
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    axis = figure.subplots()
    axis.imshow(np.minimum(counts, 20), cmap="Blues", vmax=30)
    for y, x in np.argwhere(counts):
        axis.text(x, y, counts[y, x], ha="center", va="center", fontsize=9, color="white" if counts[y, x] > 15 else "k")
    axis.set_xticks(range(len(names) + 1), [*names, "missed"], rotation=40, ha="right")
    axis.set_yticks(range(len(names) + 1), [*names, "nothing there"])
    axis.set_xlabel("reported")
    axis.set_ylabel("there")
    return figure


FIGURES = {"14_threshold.svg": curves, "14_confusion.svg": confusion}
