"""The box head: pooled proposals to classes and refined boxes (fig. 9, sec. 3.4; Girshick 2015, Fast R-CNN).

N images, P proposals in all, K classes (label 0 is the background), C channels, S x S sections a proposal, D features;
pooled (P, C, S, S), described (P, D), logits (P, K + 1), deltas (P, K + 1, 4): one box a class, since a scratch is
refined otherwise than a bubble.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig
from fasterfpn.models.images import Size
from fasterfpn.models.losses import box_head_losses
from fasterfpn.models.resnet import initialise, residual_stage, stage_channels
from fasterfpn.models.strip import StripConv2d


class TwoLayers(nn.Module):
    """Two fully connected layers (fig. 9b): (P, C, S, S) -> (P, D)."""

    def __init__(self, channels: int, config: BoxHeadConfig) -> None:
        super().__init__()
        self.width = config.box_hidden
        self.fc6 = nn.Linear(channels * config.pool_size**2, self.width)
        self.fc7 = nn.Linear(self.width, self.width)

    def forward(self, pooled: Tensor) -> Tensor:
        return F.relu(self.fc7(F.relu(self.fc6(pooled.flatten(1)))))


class Conv5(nn.Module):
    """The backbone's last stage on each proposal, and the mean of what it gives: (P, C, S, S) -> (P, D).

    As He et al. 2016 (appendix A) put ResNet into Faster R-CNN. Its first block halves 7 x 7 sections to 4 x 4.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.width = stage_channels(config)[3]
        self.layer4 = residual_stage(config, 3, StripConv2d)
        initialise(self)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.layer4(pooled.contiguous(memory_format=torch.channels_last)).mean((2, 3))


class BoxHead(nn.Module):
    """RoI max pooling from maps of these strides, a body that describes each proposal, two siblings: class logits and
    deltas per class."""

    def __init__(
        self,
        body: TwoLayers | Conv5,
        classes: int,
        config: BoxHeadConfig,
        strides: Sequence[int],
        canonical_size: float,
    ) -> None:
        super().__init__()
        self.config = config
        self.strides = tuple(strides)
        self.canonical_size = canonical_size
        self.body = body
        self.logits = nn.Linear(body.width, classes + 1)
        self.deltas = nn.Linear(body.width, (classes + 1) * 4)
        nn.init.normal_(self.logits.weight, std=0.01)  # Girshick 2015, sec. 2.3
        nn.init.normal_(self.deltas.weight, std=0.001)
        for layer in (self.logits, self.deltas):
            nn.init.zeros_(layer.bias)

    def forward(self, pyramid: list[Tensor], proposals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Proposals [(Pi, 4)] of each image -> logits (P, K + 1), deltas (P, K + 1, 4), in float32 at least."""
        described = self.body(self.pool(pyramid, proposals))
        logits, deltas = self.logits(described), self.deltas(described)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return logits.to(wide), deltas.to(wide).unflatten(1, (-1, 4))

    def pool(self, pyramid: list[Tensor], proposals: list[Tensor]) -> Tensor:
        """Each proposal from the level that eq. 2 gives it, if there are several: (P, C, S, S)."""
        boxes = torch.cat(proposals)
        image = torch.cat([box.new_full((len(box), 1), index) for index, box in enumerate(proposals)])
        k_min, k_max = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))  # stride 2^k
        levels = assign_levels(boxes, k_min, k_max, canonical_size=self.canonical_size) - k_min
        return ops.multiscale_roi_max_pool(
            pyramid[: len(self.strides)],
            torch.cat([image, boxes], dim=1),
            levels,
            [1 / stride for stride in self.strides],
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
        found = self.select(*self(pyramid, proposals), proposals, sizes)
        return [{name: result[name] for name in ("boxes", "labels", "scores")} for result in found]

    def select(
        self, logits: Tensor, deltas: Tensor, proposals: list[Tensor], sizes: list[Size]
    ) -> list[dict[str, Tensor]]:
        """What `detect` gives, and "rows" (D,): which row of `logits` each detection comes from."""
        config = self.config
        scores = logits.softmax(1)
        boxes = decode_boxes(deltas, torch.cat(proposals)[:, None], config.box_weights)
        classes = scores.shape[1]
        image = torch.cat([torch.full((len(box),), index, device=box.device) for index, box in enumerate(proposals)])
        row = torch.arange(len(scores), device=scores.device)[:, None].expand_as(scores)
        image, label = image[:, None].expand_as(scores), torch.arange(classes, device=scores.device).expand_as(scores)
        boxes = torch.cat([clip_boxes(boxes[image[:, 0] == index], size) for index, size in enumerate(sizes)])
        usable = (label > 0) & (scores > config.score_threshold) & large_enough(boxes, config.detection_min_side)
        boxes, scores, image, label, row = (value[usable] for value in (boxes, scores, image, label, row))
        keep = ops.batched_nms(boxes, scores, image * classes + label, config.detection_nms_iou)  # by descending score
        detections = []
        for index in range(len(sizes)):
            mine = keep[image[keep] == index][: config.max_detections]
            detections.append({"boxes": boxes[mine], "labels": label[mine], "scores": scores[mine], "rows": row[mine]})
        return detections
