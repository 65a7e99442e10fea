"""The box head: pooled proposals to classes and refined boxes (fig. 9, sec. 3.4; Girshick 2015, Fast R-CNN).

N images, P proposals in all, K classes (label 0 is the background), C channels, S x S sections a proposal, D features;
pooled (P, C, S, S), described (P, D), logits (P, K + 1), deltas (P, K + 1, 4): one box a class, since a scratch is
refined otherwise than a bubble.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
    match_boxes,
    sample_balanced,
)
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig
from fasterfpn.models.losses import box_head_losses
from fasterfpn.models.resnet import initialise, residual_stage, stage_channels
from fasterfpn.models.strip import replace_in
from fasterfpn.types import Size


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
        self.layer4 = residual_stage(config, 3)
        initialise(self)
        replace_in(self.layer4)  # the same convolutions, faster on many small maps

    def forward(self, pooled: Tensor) -> Tensor:
        return self.layer4(pooled.contiguous(memory_format=torch.channels_last)).mean((2, 3))


class ProposalTargets(NamedTuple):
    """What S sampled proposals of a batch should say, P of them objects."""

    proposals: list[Tensor]  # N times (Si, 4): the sampled proposals of each image, objects first
    labels: Tensor  # (S,) int64: the class of each in 1..K, or 0 for background
    deltas: Tensor  # (P, 4): what leads from each object, in order, to its ground truth (eq. 4)


class ImageDetections(NamedTuple):
    """The D detections of an image, best first, in pixels of the resized image."""

    boxes: Tensor  # (D, 4)
    labels: Tensor  # (D,) int64 in 1..K
    scores: Tensor  # (D,) in 0..1
    rows: Tensor  # (D,) int64: which of the P proposals of the batch each comes from


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
        described = self.body(self.pool(pyramid, proposals))  # (P, C, S, S) -> (P, D)
        logits, deltas = self.logits(described), self.deltas(described)
        # Autocast ends here: probabilities and boxes need the digits.
        wide = torch.promote_types(logits.dtype, torch.float32)
        return logits.to(wide), deltas.to(wide).unflatten(1, (-1, 4))

    def pool(self, pyramid: list[Tensor], proposals: list[Tensor]) -> Tensor:
        """The S x S sections of each proposal, from the level that eq. 2 gives it: (P, C, S, S)."""
        # 1. RoIs (P, 5): the index of the image in the batch, and the box.
        boxes = torch.cat(proposals)
        image = torch.cat([box.new_full((len(box), 1), index) for index, box in enumerate(proposals)])
        # 2. The level of each, 0 for the finest: a stride of 2^k is level k of eq. 2. A single map takes them all.
        k_min, k_max = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))
        levels = assign_levels(boxes, k_min, k_max, canonical_size=self.canonical_size) - k_min
        # 3. The maximum of each section (sec. 3.4).
        return ops.multiscale_roi_max_pool(
            pyramid[: len(self.strides)],
            torch.cat([image, boxes], dim=1),
            levels,
            [1 / stride for stride in self.strides],
            self.config.pool_size,
        )

    @torch.no_grad()
    def assign_targets(
        self, proposals: list[Tensor], truth: list[Tensor], labels: list[Tensor], generator: torch.Generator
    ) -> ProposalTargets:
        """Match proposals N times (Pi, 4) with the ground truth of each image, and sample (Girshick 2015, 2.3).

        truth N times (Gi, 4) with labels (Gi,) in 1..K. The sample is drawn on the CPU from `generator`.
        """
        config = self.config
        sampled, classes, deltas = [], [], []
        for proposal, boxes, label in zip(proposals, truth, labels, strict=True):
            # 1. The ground truths are proposals too: there are objects to learn from the first step on.
            proposal = torch.cat([proposal, boxes])  # (Pi + Gi, 4)
            # 2. Object from IoU 0.5 on, background below: (Pi + Gi,) in {0, 1}.
            kind, matched = match_boxes(proposal, boxes, config.box_foreground_iou, config.box_foreground_iou)
            # 3. A sample, at most a quarter of it objects.
            positive, negative = sample_balanced(kind, config.box_sample, config.box_positive_fraction, generator)
            sampled.append(proposal[torch.cat([positive, negative])])
            # 4. An object has its ground truth's class and the deltas that lead there (eq. 4), background class 0.
            classes.append(torch.cat([label[matched[positive]], label.new_zeros(len(negative))]))
            deltas.append(encode_boxes(boxes[matched[positive]], proposal[positive], config.box_weights))
        return ProposalTargets(sampled, torch.cat(classes), torch.cat(deltas))

    def loss(self, logits: Tensor, deltas: Tensor, targets: ProposalTargets) -> dict[str, Tensor]:
        """The two losses on the sampled proposals: logits (S, K + 1), deltas (S, K + 1, 4) -> two scalars."""
        positive = torch.where(targets.labels > 0)[0]
        own = deltas[positive, targets.labels[positive]]  # (P, 4): only the box of the object's own class learns
        cls_loss, loc_loss = box_head_losses(logits, targets.labels, own, targets.deltas, self.config.box_beta)
        return {"roi_cls_loss": cls_loss, "roi_loc_loss": loc_loss}

    def decode(
        self, logits: Tensor, deltas: Tensor, proposals: list[Tensor], sizes: list[Size]
    ) -> list[ImageDetections]:
        """The detections of each image: confident, NMS within each class, at most `max_detections` (Girshick 2015, 2).

        logits (P, K + 1) and deltas (P, K + 1, 4) of proposals N times (Pi, 4); sizes (h, w) of the images.
        """
        config, classes = self.config, logits.shape[1]
        # 1. A probability and a box for each proposal and class (eq. 1): (P, K + 1) and (P, K + 1, 4).
        scores = logits.softmax(1)
        boxes = decode_boxes(deltas, torch.cat(proposals)[:, None], config.box_weights)
        # 2. Cut off at the edges of the proposal's own image.
        of_images = zip(boxes.split(list(map(len, proposals))), sizes, strict=True)
        boxes = torch.cat([clip_boxes(own, size) for own, size in of_images])
        # 3. The image, row and class of each candidate, all (P, K + 1).
        image = torch.cat(
            [logits.new_full((len(own),), index, dtype=torch.int64) for index, own in enumerate(proposals)]
        )
        image = image[:, None].expand_as(scores)
        row = torch.arange(len(scores), device=scores.device)[:, None].expand_as(scores)
        label = torch.arange(classes, device=scores.device).expand_as(scores)
        # 4. No background, no low scores, nothing degenerate: (M,).
        usable = (label > 0) & (scores > config.score_threshold) & large_enough(boxes, config.detection_min_side)
        boxes, scores, image, label, row = (value[usable] for value in (boxes, scores, image, label, row))
        # 5. NMS within each image and class; what remains comes by descending score.
        keep = ops.batched_nms(boxes, scores, image * classes + label, config.detection_nms_iou)
        # 6. The best of each image: D <= max_detections.
        own = [keep[image[keep] == index][: config.max_detections] for index in range(len(sizes))]
        return [ImageDetections(boxes[index], label[index], scores[index], row[index]) for index in own]
