"""Saliency: which pixels the network's answer hangs on (paper, section 5.3; Simonyan et al. 2013, section 3).

An image (3, H, W) in 0..1, D detections, P proposals, K classes; a map (H, W): the largest |gradient| of the three
channels with respect to the image as it was passed in. Proposals are held constant: only the path from the pixels
through the pyramid and the box head to the class counts, not the choice of the boxes.
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
    """values (H, W) float, the class `label` in 1..K, and the boxes (D, 4) and scores (D,) that spoke."""

    values: Tensor
    label: int
    boxes: Tensor
    scores: Tensor


def saliency(
    detector: Detector, image: Tensor, label: int | None = None, of: Of = "logit", detection: int | None = None
) -> Saliency:
    """The gradient of what the network says about `image` with respect to its pixels.

    `of` "logit": the class logit, summed over the kept detections of class `label` (default: the class of the best
    detection); "loss": the classification loss of those detections, with that class as the truth. `detection`: of that
    one alone, numbered as in `detector([image])[0]`, about its own class. Where no detection of the class is kept, the
    proposal to which the class is likeliest speaks for it. The weights' gradients and the mode are left as they are.

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
            # 1. The detector's own three stages, with the pixels as the leaf of the graph.
            image = image.detach().clone().requires_grad_()
            batch = prepare_images([image], detector.config.image)
            regions = detector.propose(batch)
            # 2. Which proposals speak, and for which class: chosen without gradient.
            with torch.no_grad():
                speakers, label = _speakers(detector, regions, batch.sizes, label, detection)
            # 3. The class logits of these proposals alone: (D, K + 1).
            logits, _ = detector.box_head(regions.pyramid, [regions.proposals[0][speakers.rows]])
            truth = torch.full_like(speakers.rows, label)
            answer = logits[:, label] if of == "logit" else cross_entropy(logits, truth)
            # 4. The derivative of their sum by the pixels: (3, H, W).
            (gradient,) = torch.autograd.grad(answer.sum(), image)
    finally:
        detector.train(was_training)
    boxes = clip_boxes(batch.to_original(speakers.boxes, 0), batch.originals[0])
    return Saliency(gradient.abs().amax(0), label, boxes, speakers.scores)


def _speakers(
    detector: Detector, regions: Regions, sizes: list[Size], label: int | None, detection: int | None
) -> tuple[ImageDetections, int]:
    """The detections in question, and their class."""
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
    # Nothing of this class was kept: the likeliest proposal, if there is any.
    row = scores[:, label].topk(min(1, len(scores))).indices
    return ImageDetections(proposals[0][row], torch.full_like(row, label), scores[row, label], row), label


def concentration(values: Tensor, box: Tensor) -> float:
    """How many times more of the map's mass lies in the box than its share of the area: 1 for a map that is even.

    values (H, W) >= 0; box (4,) in pixels, doubled in width and height about its centre first, since the edge of an
    object is seen from both sides. A pixel is inside where its centre is. 0 for a map without mass; NaN where no pixel
    is inside.
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
