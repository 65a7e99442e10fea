"""Computes saliency maps: which pixels change the network's answer most (paper, sec. 5.3; Simonyan et al. 2013).

An image (3, H, W) in 0..1, P proposals, K classes; a map explains D detections. The map (H, W) is the gradient of the
answer with respect to the image as it was passed in: at each pixel the largest |gradient| of the three channels. The
proposals are constants: the gradient goes from the class through box head and pyramid to the pixels, not through the
RPN's choice of boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fasterfpn.geometry import clip_boxes
from fasterfpn.models.box_head import ImageDetections
from fasterfpn.models.checks import check_images
from fasterfpn.models.detector import Detector, Regions
from fasterfpn.models.images import prepare_images
from fasterfpn.models.losses import cross_entropy
from fasterfpn.types import Size

Of = Literal["logit", "loss"]


@dataclass(frozen=True)
class Saliency:
    """The map `values` (H, W) of class `label` in 1..K, and the detections it explains: boxes (D, 4), scores (D,)."""

    values: Tensor
    label: int
    boxes: Tensor
    scores: Tensor


def saliency(
    detector: Detector, image: Tensor, label: int | None = None, of: Of = "logit", detection: int | None = None
) -> Saliency:
    """The gradient of what the network says about `image` with respect to its pixels.

    The map explains all detections of class `label` (default: the class of the best detection). With `detection`, it
    explains that one alone, numbered as in `detector([image])[0]`, and its class. If the class is not detected, it
    explains the proposal with the highest score for that class. `of` "logit" takes the gradient of the class logit,
    summed over the detections; "loss" that of their classification loss, with the class as the truth. The weights'
    gradients and the detector's mode stay as they are.

    Raises ValueError for a label outside 1..K or a detection that is not there.
    """
    classes = len(detector.classes)
    if label is not None and not 1 <= label <= classes:
        raise ValueError(f"label must lie in 1..{classes}, got {label}")
    check_images([image], like=next(detector.rpn.parameters()))
    was_training = detector.training
    detector.eval()
    try:
        with torch.enable_grad():
            # 1. Proposals as in detection; the pixels are the leaf of the graph.
            image = image.detach().clone().requires_grad_()
            batch = prepare_images([image], detector.config.image)
            regions = detector.propose(batch)
            # 2. The detections to explain and their class, chosen without gradient.
            with torch.no_grad():
                explained, label = _explained(detector, regions, batch.sizes, label, detection)
            # 3. The class logits of their proposals alone: (D, K + 1).
            logits, _ = detector.box_head(regions.pyramid, [regions.proposals[0][explained.rows]])
            truth = torch.full_like(explained.rows, label)
            answer = logits[:, label] if of == "logit" else cross_entropy(logits, truth)
            # 4. The gradient of their sum: (3, H, W).
            (gradient,) = torch.autograd.grad(answer.sum(), image)
    finally:
        detector.train(was_training)
    boxes = clip_boxes(batch.to_original(explained.boxes, 0), batch.originals[0])
    return Saliency(gradient.abs().amax(0), label, boxes, explained.scores)


def _explained(
    detector: Detector, regions: Regions, sizes: list[Size], label: int | None, detection: int | None
) -> tuple[ImageDetections, int]:
    """The detections that the map explains, and their class."""
    proposals = regions.proposals
    logits, deltas = detector.box_head(regions.pyramid, proposals)
    (kept,) = detector.box_head.decode(logits, deltas, proposals, sizes)
    if detection is not None:
        if not 0 <= detection < len(kept.rows):
            raise ValueError(f"detection must lie in 0..{len(kept.rows) - 1}, got {detection}")
        return ImageDetections(*(value[[detection]] for value in kept)), int(kept.labels[detection])
    scores = logits.softmax(1)
    if label is None:
        best = scores[:, 1:].amax(0) if len(scores) else scores.new_ones(1)
        label = int(kept.labels[0]) if len(kept.labels) else int(best.argmax()) + 1
    of_class = kept.labels == label
    if of_class.any():
        return ImageDetections(*(value[of_class] for value in kept)), label
    # The class is not detected: the proposal with the highest score for it, if there is any proposal.
    row = scores[:, label].topk(min(1, len(scores))).indices
    return ImageDetections(proposals[0][row], torch.full_like(row, label), scores[row, label], row), label


def concentration(values: Tensor, box: Tensor) -> float:
    """How much a map concentrates on an object: its mean in the object's doubled box over its mean on the whole image.

    values (H, W) >= 0; box (4,) in pixels, doubled in width and height about its centre, since the pixels on both sides
    of an edge show it. A pixel is inside if its centre is. A constant map has 1; a map that is 0 outside has 1 / (the
    doubled box's share of the image); a map of zeros has 0; without a pixel inside, the result is NaN.
    """
    height, width = values.shape
    x1, y1, x2, y2 = box.double().tolist()
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    columns = ((x - (x1 + x2) / 2).abs() <= x2 - x1).to(values.device)
    rows = ((y - (y1 + y2) / 2).abs() <= y2 - y1).to(values.device)
    inside = rows[:, None] & columns
    mass = values.double()
    total, share = mass.sum(), inside.double().mean()
    if share == 0:
        return float("nan")
    return float(mass[inside].sum() / total / share) if total > 0 else 0.0
