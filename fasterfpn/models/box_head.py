"""The box head: pooled proposals to classes and refined boxes (fig. 9, sec. 3.4; Girshick 2015, Fast R-CNN).

N images, P proposals in all, K classes (label 0 is the background), C channels, S x S sections a proposal;
pooled (P, C, S, S), logits (P, K + 1), deltas (P, K + 1, 4): one box a class, since a scratch is refined otherwise
than a bubble.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fasterfpn import ops
from fasterfpn.geometry import (
    assign_levels,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    large_enough,
    match_anchors,
    sample_balanced,
)
from fasterfpn.geometry.anchors import STRIDES
from fasterfpn.models.config import BoxHeadConfig
from fasterfpn.models.images import Size
from fasterfpn.models.losses import box_head_losses

POOLED_STRIDES = STRIDES[:4]  # P2..P5: P6 serves the RPN alone (fig. 9b)


class BoxHead(nn.Module):
    """RoI max pooling over the pyramid, two fully connected layers, two siblings: class logits and deltas per class."""

    def __init__(self, channels: int, classes: int, config: BoxHeadConfig, canonical_size: float) -> None:
        super().__init__()
        self.config = config
        self.canonical_size = canonical_size
        self.fc6 = nn.Linear(channels * config.pool_size**2, config.box_hidden)
        self.fc7 = nn.Linear(config.box_hidden, config.box_hidden)
        self.logits = nn.Linear(config.box_hidden, classes + 1)
        self.deltas = nn.Linear(config.box_hidden, (classes + 1) * 4)
        nn.init.normal_(self.logits.weight, std=0.01)  # Girshick 2015, sec. 2.3
        nn.init.normal_(self.deltas.weight, std=0.001)
        for layer in (self.logits, self.deltas):
            nn.init.zeros_(layer.bias)

    def forward(self, pyramid: list[Tensor], proposals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Proposals [(Pi, 4)] of each image -> logits (P, K + 1), deltas (P, K + 1, 4), in float32 at least."""
        pooled = self.pool(pyramid, proposals)
        hidden = F.relu(self.fc7(F.relu(self.fc6(pooled.flatten(1)))))
        logits, deltas = self.logits(hidden), self.deltas(hidden)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return logits.to(wide), deltas.to(wide).unflatten(1, (-1, 4))

    def pool(self, pyramid: list[Tensor], proposals: list[Tensor]) -> Tensor:
        """Each proposal from the level that eq. 2 gives it: (P, C, S, S)."""
        boxes = torch.cat(proposals)
        image = torch.cat([box.new_full((len(box), 1), index) for index, box in enumerate(proposals)])
        levels = assign_levels(boxes, canonical_size=self.canonical_size) - 2  # P2 is the first of the list
        return ops.multiscale_roi_max_pool(
            pyramid[: len(POOLED_STRIDES)],
            torch.cat([image, boxes], dim=1),
            levels,
            [1 / stride for stride in POOLED_STRIDES],
            self.config.pool_size,
        )

    @torch.no_grad()
    def sample(
        self, proposals: list[Tensor], boxes: list[Tensor], labels: list[Tensor], generator: torch.Generator
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Choose what to learn from: proposals and ground truths, at most `box_sample` an image, positives first.

        Returns the sampled proposals [(Si, 4)], their classes (S,) in 0..K, and for the positives among them, in
        order, the target deltas (P, 4).
        """
        config = self.config
        sampled, classes, targets = [], [], []
        for proposal, box, label in zip(proposals, boxes, labels, strict=True):
            proposal = torch.cat([proposal, box])  # ground truths too: some positives from the first step on
            kind, matched = match_anchors(proposal, box, config.box_foreground_iou, config.box_foreground_iou)
            positive, negative = sample_balanced(kind, config.box_sample, config.box_positive_fraction, generator)
            sampled.append(proposal[torch.cat([positive, negative])])
            classes.append(torch.cat([label[matched[positive]], label.new_zeros(len(negative))]))
            targets.append(encode_boxes(box[matched[positive]], proposal[positive], config.box_weights))
        return sampled, torch.cat(classes), torch.cat(targets)

    def loss(
        self,
        pyramid: list[Tensor],
        proposals: list[Tensor],
        boxes: list[Tensor],
        labels: list[Tensor],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Losses on a balanced sample of the proposals of each image."""
        sampled, classes, targets = self.sample(proposals, boxes, labels, generator)
        logits, deltas = self(pyramid, sampled)
        positive = torch.where(classes > 0)[0]
        own = deltas[positive, classes[positive]]
        cls_loss, loc_loss = box_head_losses(logits, classes, own, targets, self.config.box_beta)
        return {"roi_cls_loss": cls_loss, "roi_loc_loss": loc_loss}

    def detect(self, pyramid: list[Tensor], proposals: list[Tensor], sizes: list[Size]) -> list[dict[str, Tensor]]:
        """Per image {"boxes" (D, 4), "labels" (D,) in 1..K, "scores" (D,)} by descending score, after NMS within
        each class."""
        config = self.config
        logits, deltas = self(pyramid, proposals)
        scores = logits.softmax(1)
        boxes = decode_boxes(deltas, torch.cat(proposals)[:, None], config.box_weights)
        classes = scores.shape[1]
        image = torch.cat([torch.full((len(box),), index, device=box.device) for index, box in enumerate(proposals)])
        image, label = image[:, None].expand_as(scores), torch.arange(classes, device=scores.device).expand_as(scores)
        boxes = torch.cat([clip_boxes(boxes[image[:, 0] == index], size) for index, size in enumerate(sizes)])
        usable = (label > 0) & (scores > config.score_threshold) & large_enough(boxes, config.detection_min_side)
        boxes, scores, image, label = boxes[usable], scores[usable], image[usable], label[usable]
        keep = ops.batched_nms(boxes, scores, image * classes + label, config.detection_nms_iou)  # by descending score
        detections = []
        for index in range(len(sizes)):
            mine = keep[image[keep] == index][: config.max_detections]
            detections.append({"boxes": boxes[mine], "labels": label[mine], "scores": scores[mine]})
        return detections
