"""Figures of the field guide, from the runs that `python benchmarks/field_guide.py` wrote."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from PIL import Image, ImageDraw

from fasterfpn.data.synthetic.dataset import BUILT_IN_IMAGES, BUILT_IN_SIZES, SyntheticProfiles
from fasterfpn.data.synthetic.request import Request
from fasterfpn.report.curves import running_mean
from fasterfpn.report.draw import draw_detections, to_picture

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "field_guide"
TITLES = {
    "labels_from_zero": "1. labels from 0",
    "x_and_y_swapped": "2. x and y swapped",
    "no_best_anchor": "3. no best-anchor rule",
    "deltas_in_pixels": "4. deltas in pixels",
    "learning_rate_times_ten": "5. learning rate x 10",
    "batch_norm_of_one": "6. batch norm of one image",
    "boxes_not_flipped": "7. boxes not flipped",
    "resized_differently": "8. resized differently",
}
LOSSES = ("rpn_cls_loss", "rpn_loc_loss", "roi_cls_loss", "roi_loc_loss")
NAMES = ("RPN class", "RPN location", "head class", "head location")


@cache
def run(name: str) -> dict:
    """Return the record of one run."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def losses() -> Figure:
    """A row for each bug: its four losses over training, in red over the healthy run's in grey, on logarithmic axes."""
    figure = Figure(figsize=(10, 13), layout="constrained")
    axes = figure.subplots(len(TITLES), len(LOSSES), sharex="col", sharey="col")
    healthy = run("healthy")["losses"]
    for row, (name, title) in zip(axes, TITLES.items(), strict=True):
        for axis, key in zip(row, LOSSES, strict=True):
            for curves, colour, width in ((healthy, "#999999", 3), (run(name)["losses"], "#c0392b", 1.3)):
                every = len(curves[key]) // 50  # 50 points a curve
                mean = running_mean(np.array(curves[key]), 2 * every)[every - 1 :: every]
                axis.semilogy(np.linspace(0, 1, len(mean)), mean, color=colour, linewidth=width)
            axis.set_xticks([])
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.tick_params(labelsize=8)
            axis.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=10)
    for axis, heading in zip(axes[0], NAMES, strict=True):
        axis.set_title(heading, fontsize=11)
    return figure


def bars() -> Figure:
    """The mAP of each run on the test part, and how well its confident boxes fit whatever their class."""
    names = ["healthy", *TITLES]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    at = np.arange(len(names))[::-1]
    tests = [run(name)["test"] for name in names]
    for offset, key, colour, label in (
        (0.2, "mAP", "#2c7fb8", "mAP"),
        (-0.2, "mean_iou_of_any_class", "#a1dab4", "IoU of each object with its best box, of any class"),
    ):
        values = [100 * test[key] if test else 0 for test in tests]
        bars = axis.barh(at + offset, values, 0.4, color=colour, label=label)
        axis.bar_label(bars, [f"{value:.0f}" for value in values], fontsize=8, padding=2)
    axis.set_yticks(at, ["healthy", *TITLES.values()], fontsize=9)
    axis.set_xlim(0, 100)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def pictures() -> Image.Image:
    """One test image with the detections of each run, three in a row."""
    first = BUILT_IN_IMAGES["train"] + BUILT_IN_IMAGES["val"]
    name = next(iter(run("healthy")["test"]["shown"]))
    index = int(name.rpartition("-")[2]) - first
    size = BUILT_IN_SIZES["easy"]
    dataset = SyntheticProfiles(index + 1, Request(0, "easy", size), first=first, workers=1, progress=False)
    picture = to_picture(dataset[index][0]).resize((2 * size[1], 2 * size[0]))
    cells = [("healthy", "healthy"), *TITLES.items()]
    sheet = Image.new("RGB", (3 * 336, 3 * 270), "white")
    canvas = ImageDraw.Draw(sheet)
    for place, (name, title) in enumerate(cells):
        test = run(name)["test"]
        found = test["shown"][next(iter(test["shown"]))] if test else {"boxes": [], "labels": [], "scores": []}
        boxes = 2 * torch.tensor(found["boxes"], dtype=torch.float32).reshape(-1, 4)
        kinds = [dataset.classes[label - 1] for label in found["labels"]]
        x, y = place % 3 * 336, place // 3 * 270
        sheet.paste(draw_detections(picture, boxes, kinds, found["scores"]), (x, y + 24))
        canvas.text((x + 2, y + 3), title, fill="black", font_size=16)
    return sheet


FIGURES = {"13_losses.png": losses, "13_results.svg": bars, "13_pictures.jpg": pictures}
