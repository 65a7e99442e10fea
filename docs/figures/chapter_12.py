"""Figures of chapter 12: one image learnt by heart, and the learning rates of the presets."""

from __future__ import annotations

from dataclasses import replace

import torch
from figures.running import CLASSES, SIZE, running_image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from fasterfpn import build_detector
from fasterfpn.engine.config import DEMO, PRESETS, SMALL
from fasterfpn.engine.optimizer import build_optimizer
from fasterfpn.engine.schedule import learning_rate
from fasterfpn.engine.tables import LOSSES
from fasterfpn.models import Detector
from fasterfpn.types import Detections

STEPS = 100
COLOURS = ("black", "#00798c", "#6fb7c4", "#d1495b", "#ee9ba5")  # of the sum and its parts
SHOWN = 0.5  # detections from this score on


def by_heart() -> Figure:
    """The losses over the steps, and what the detector finds after them."""
    rows, found = learnt()
    figure = Figure(figsize=(12, 4.3), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.05, 1])
    for name, colour in zip(LOSSES, COLOURS, strict=True):
        left.plot([row[name] for row in rows], color=colour, label=name, lw=2 if name == "total_loss" else 1.4)
    left.set(xlabel="step", ylim=(0, 3.2), xlim=(0, STEPS - 1))
    left.legend()
    right.imshow(running_image()[0].permute(1, 2, 0).numpy(), extent=(0, SIZE[1], SIZE[0], 0))
    for box, label, score in zip(*(found[name].tolist() for name in ("boxes", "labels", "scores")), strict=True):
        if score >= SHOWN:
            x1, y1, x2, y2 = box
            right.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#7CFC00", lw=1.8))
            x, side = (x2, "right") if x1 > SIZE[1] / 2 else (x1, "left")
            words = f"{CLASSES[label - 1]} {score:.2f}"
            right.text(x, y1 - 10, words, color="#7CFC00", weight="bold", ha=side)
    right.set(title=f"found after {STEPS} steps, score from {SHOWN} on", xticks=[], yticks=[])
    return figure


def learnt() -> tuple[list[dict[str, float]], Detections]:
    """The losses of each step on the running image, and the detections after the last."""
    image, target = running_image()
    backbone = replace(SMALL.model.backbone, norm="group", width=16, pyramid_channels=32)
    model = replace(SMALL.model, backbone=backbone, box=replace(SMALL.model.box, box_hidden=64))
    settings = replace(SMALL.training, learning_rate=0.002, warmup_steps=10)
    detector, rows = build_detector(model, CLASSES), []
    optimizer = build_optimizer(detector, settings)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step, STEPS)
        losses = detector([image], [target])
        optimizer.zero_grad()
        losses["total_loss"].backward()
        nn.utils.clip_grad_norm_(detector.parameters(), settings.clip_norm)
        optimizer.step()
        rows.append({name: loss.item() for name, loss in losses.items()})
    return rows, detections(detector, image)


@torch.no_grad()
def detections(detector: Detector, image: torch.Tensor) -> Detections:
    """What the detector finds in one image."""
    return detector.eval()([image])[0]


def rates() -> Figure:
    """Learning rate over a run of 1000 steps: the demo's cosine, its start, and the paper's constant."""
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    axes = figure.subplots()
    demo, paper = DEMO.training, PRESETS["paper"].training
    for settings, colour, words in (
        (demo, "#00798c", f"demo: AdamW, {demo.warmup_steps} steps of warm-up, cosine"),
        (paper, "#d1495b", "paper: SGD, constant"),
    ):
        axes.plot([learning_rate(settings, step, 1000) for step in range(1000)], color=colour, label=words)
    axes.set(xlabel="step of 1000", ylabel="learning rate", ylim=(0, 0.0018), xlim=(0, 1000))
    axes.legend()
    return figure


FIGURES = {"by_heart.jpg": by_heart, "learning_rates.svg": rates}
