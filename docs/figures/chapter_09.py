"""Chapter 9: what the steps from scores to proposals leave of 306,900 boxes, and a chain of four boxes through NMS."""

from __future__ import annotations

import torch
from figures.running import SIZE, running_image
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from fasterfpn import ops
from fasterfpn.geometry import box_iou, clip_boxes, decode_boxes, encode_boxes, large_enough, pyramid_anchors

INK, BOX, KEPT = "#d62728", "#ffb000", "#1f77b4"
CHAIN = torch.tensor([[0.0, 0, 100, 50], [15, 0, 115, 50], [30, 0, 130, 50], [45, 0, 145, 50]])
CHAIN_SCORES = torch.tensor([0.9, 0.8, 0.7, 0.6])


def pretend_rpn() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return logits (1, Rl), deltas (1, Rl, 4) and anchors (Rl, 4) of P2..P6, as a trained RPN might give them.

    An anchor's logit rises from -5 to 5 with its IoU, taken relative to the best anchor of the same defect. Its deltas
    lead 0.9 of the way to the defect that it overlaps most. Noise comes on top of both.
    """
    noise = torch.Generator().manual_seed(9)
    boxes = running_image()[1]["boxes"]
    anchors = pyramid_anchors(SIZE)
    iou = box_iou(boxes, torch.cat(anchors))  # (3, R)
    quality, defect = (iou / iou.amax(dim=1, keepdim=True)).max(dim=0)
    logits = 10 * quality - 5 + 2 * torch.rand(len(quality), generator=noise) - 1
    way = 0.9 * encode_boxes(boxes[defect], torch.cat(anchors)) * (quality > 0)[:, None]
    deltas = way + 0.2 * torch.rand(way.shape, generator=noise) - 0.1
    counts = [len(anchor) for anchor in anchors]
    return list(logits[None].split(counts, 1)), list(deltas[None].split(counts, 1)), anchors


def stages(each: int = 1000, keep: int = 1000) -> list[tuple[str, Tensor]]:
    """Return the boxes (M, 4) after each step of `RPN.propose` on the running image, best first, with a title."""
    best, boxes, levels, before = [], [], [], []
    for level, (logit, delta, anchor) in enumerate(zip(*pretend_rpn(), strict=True)):
        score, index = logit[0].topk(min(each, len(anchor)))
        best.append(score)
        before.append(anchor[index])
        boxes.append(decode_boxes(delta[0, index], anchor[index]))
        levels.append(torch.full_like(index, level))
    score, level, order = torch.cat(best), torch.cat(levels), torch.cat(best).argsort(descending=True)
    clipped = clip_boxes(torch.cat(boxes), SIZE)
    kept = ops.batched_nms(clipped, score, torch.where(large_enough(clipped, 1e-3), level, -1), 0.7)
    return [
        (f"1. the best anchors: {len(order):,}", torch.cat(before)[order]),
        (f"2. decoded and clipped: {len(order):,}", clipped[order]),
        (f"3. after NMS: {len(kept):,}", clipped[kept]),
        ("4. the best 30 of these", clipped[kept][:30]),
    ]


def proposals() -> Figure:
    """Return the main figure: the running image after each step."""
    figure = Figure((12, 8.6), layout="constrained")
    image, target = running_image()
    for axes, (title, boxes) in zip(figure.subplots(2, 2).flat, stages(), strict=True):
        axes.imshow(image.permute(1, 2, 0)[::2, ::2], extent=(0, 1280, 960, 0))
        for x1, y1, x2, y2 in target["boxes"].tolist():
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=BOX, linewidth=3))
        _draw_boxes(axes, boxes[:1500], alpha=0.9 if len(boxes) < 100 else 0.25)
        axes.set_xlim(0, 1280)
        axes.set_ylim(960, 0)
        axes.set_title(title, fontsize=12)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def _draw_boxes(axes: Axes, boxes: Tensor, alpha: float) -> None:
    x1, y1, x2, y2 = boxes.unbind(1)
    corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2, x1, y1], dim=1).reshape(-1, 5, 2)
    axes.add_collection(LineCollection(corners.numpy(), colors="white", linewidths=0.6, alpha=alpha, rasterized=True))


def chain() -> Figure:
    """Return four boxes in a row: the first suppresses the second, which then cannot suppress the third."""
    figure = Figure((12, 3), layout="constrained")
    titles = ("sorted by score", "A is kept; IoU(A, B) = 0.74: B is out", "C is kept; IoU(C, D) = 0.74: D is out")
    for decided, title, axes in zip((0, 2, 4), titles, figure.subplots(1, 3), strict=True):
        for i, (name, (x1, _, x2, height)) in enumerate(zip("ABCD", CHAIN.tolist(), strict=True)):
            colour = "#777777" if i >= decided else INK if i % 2 else KEPT
            style = {"edgecolor": colour, "linestyle": "--" if colour == INK else "-", "linewidth": 2}
            axes.add_patch(Rectangle((x1, 60 * i), x2 - x1, height, fill=False, **style))
            words = f"{name}, score {CHAIN_SCORES[i]:.1f}"
            axes.text((x1 + x2) / 2, 60 * i + 25, words, color=colour, ha="center", va="center")
        axes.set_xlim(-5, 150)
        axes.set_ylim(240, -10)
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    return figure


FIGURES = {"09_proposals.jpg": proposals, "09_chain.svg": chain}
