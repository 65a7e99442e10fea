"""Chapter 11: one proposal's eleven probabilities, all candidates, and the detections that are left of them."""

from __future__ import annotations

from functools import cache

import torch
from figures.chapter_09 import stages
from figures.running import CLASSES, SIZE, running_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from fasterfpn.geometry import box_iou, clip_boxes, decode_boxes, encode_boxes
from fasterfpn.geometry.anchors import STRIDES
from fasterfpn.models.box_head import BoxHead, ImageDetections, TwoLayers
from fasterfpn.models.config import BoxHeadConfig

COLOURS = {"scratch": "#ffb000", "dirty point": "#ff5fa2", "crater": "#5ec8ff"}
LETTERING = {"facecolor": "black", "pad": 1.5, "lw": 0}
LIKE = {2: 6, 10: 8, 8: 10}  # the class that each of the three is taken for at times: jet, crater, dirty point


def proposals() -> Tensor:
    """Return the proposals (P, 4) of chapter 9's pretended RPN on the running image."""
    return stages()[2][1]


def pretend_head() -> tuple[Tensor, Tensor]:
    """Return logits (P, 11) and deltas (P, 11, 4) for these proposals, as a trained box head might give them.

    The logit of the right class rises with the proposal's IoU, that of a similar class stays 2 below, background has 5.
    The right class's deltas lead 0.8 of the way to the defect, the similar one's 0.4. Noise comes on top of all.
    """
    noise, target = torch.Generator().manual_seed(11), running_image()[1]
    boxes = proposals()
    quality, defect = box_iou(boxes, target["boxes"]).max(dim=1)
    rows, own = torch.arange(len(boxes)), target["labels"][defect]
    like = torch.tensor([LIKE[label] for label in own.tolist()])
    logits = torch.rand(len(boxes), len(CLASSES) + 1, generator=noise)
    logits[:, 0] += 5
    logits[rows, own] += 12 * quality
    logits[rows, like] += (12 * quality - 2).clamp(min=0)
    deltas = 0.2 * torch.rand(*logits.shape, 4, generator=noise) - 0.1
    way = encode_boxes(target["boxes"][defect], boxes) * (quality > 0)[:, None]
    deltas[rows, own] += 0.8 * way
    deltas[rows, like] += 0.4 * way
    return logits, deltas


def make_head(**changes: float) -> BoxHead:
    """Return an untrained box head of the running image's classes; its `decode` needs no weights."""
    config = BoxHeadConfig(box_hidden=8, **changes)
    return BoxHead(TwoLayers(8, config), len(CLASSES), config, STRIDES[:4], 224.0)


@cache
def detections() -> ImageDetections:
    """Return what is left of the pretended head's boxes."""
    return make_head().decode(*pretend_head(), [proposals()], [SIZE])[0]


def box_head() -> Figure:
    """Return the figure."""
    figure = Figure((12, 4), layout="constrained")
    bars, candidates, results = figure.subplots(1, 3, width_ratios=(1, 1.4, 1.4))
    logits, deltas = pretend_head()
    scores = logits.softmax(dim=1)
    row = detections().rows[detections().labels == 8][0]
    _draw_scores(bars, scores[row])
    chosen, label = (scores[:, 1:] > 0.05).nonzero().unbind(dim=1)
    boxes = clip_boxes(decode_boxes(deltas[chosen, label + 1], proposals()[chosen]), SIZE)
    _draw_boxes(candidates, boxes, label + 1, None)
    candidates.set_title(f"2. all candidates above 0.05: {len(boxes)}", fontsize=11)
    found = detections()
    _draw_boxes(results, found.boxes, found.labels, found.scores)
    results.set_title(f"3. after NMS in each class: {len(found.boxes)}", fontsize=11)
    return figure


def _draw_scores(axes: Axes, scores: Tensor) -> None:
    names = ["background", *CLASSES]
    axes.barh(names, scores, color=[COLOURS.get(name, "#999999") for name in names])
    axes.axvline(0.05, color="black", linestyle="--", linewidth=1)
    axes.invert_yaxis()
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("1. one proposal, 11 probabilities", fontsize=11)


def _draw_boxes(axes: Axes, boxes: Tensor, labels: Tensor, scores: Tensor | None) -> None:
    image, _ = running_image()
    axes.imshow(image.permute(1, 2, 0)[::2, ::2], extent=(0, 1280, 960, 0))
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        name = CLASSES[labels[i] - 1]
        colour = COLOURS.get(name, "white")
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1))
        if scores is not None and scores[i] > 0.3:
            place = {"x": x2, "ha": "right"} if x1 > 640 else {"x": x1}
            words = f"{name} {scores[i]:.2f}"
            axes.text(y=y1 - 40, s=words, color=colour, fontsize=9, bbox=LETTERING, **place)
    axes.set_xlim(150, 1100)
    axes.set_ylim(790, 190)
    axes.set_xticks([])
    axes.set_yticks([])


FIGURES = {"11_box_head.jpg": box_head}
