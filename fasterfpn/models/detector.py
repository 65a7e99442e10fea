"""The multiscale defect detection network (fig. 4), and the single-scale one: three stages, wired once.

N images (3, Hi, Wi) in 0..1; targets {"boxes": (Gi, 4), "labels": (Gi,) int64 in 1..K}; results add "scores".
L levels, R anchors an image, Pi proposals of image i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fasterfpn.geometry import clip_boxes
from fasterfpn.models.box_head import BoxHead, Conv5, TwoLayers
from fasterfpn.models.checks import check_images, check_targets, checked_classes
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.fpn import FPN, LastStage
from fasterfpn.models.images import ImageBatch, prepare_images
from fasterfpn.models.resnet import ResNet
from fasterfpn.models.rpn import RPN, check_finite
from fasterfpn.types import Detections, Target


class Regions(NamedTuple):
    """What the first two stages give of a batch: the maps, the RPN's outputs on them, and where objects may be."""

    pyramid: list[Tensor]  # L maps (N, C, Hl, Wl)
    logits: list[Tensor]  # L times (N, Hl Wl A)
    deltas: list[Tensor]  # L times (N, Hl Wl A, 4)
    anchors: list[Tensor]  # L times (Hl Wl A, 4)
    proposals: list[Tensor]  # N times (Pi, 4), in pixels of the resized image, without gradient


class Detector(nn.Module):
    """Faster R-CNN on a feature pyramid, or on C4. `generator` draws the training samples: seed it to repeat a run.

    Raises `ValueError` for class names that are none: see `checked_classes`.
    """

    def __init__(self, config: DetectorConfig, classes: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.classes = checked_classes(classes)
        self.generator = torch.Generator()
        levels = config.levels()
        if config.architecture == "conv4":  # Ren et al. on C4: the backbone's last stage stands behind the pooling
            self.backbone = ResNet(config.backbone, stages=3)
            self.fpn, channels = LastStage(), self.backbone.channels[-1]
        else:
            self.backbone = ResNet(config.backbone)
            channels = config.backbone.pyramid_channels
            self.fpn = FPN(self.backbone.channels, channels, top_down=config.architecture == "fpn")
        self.rpn = RPN(channels, config.rpn, config.anchors())
        body = Conv5(config.backbone) if config.architecture == "conv4" else TwoLayers(channels, config.box)
        pooled = levels.strides[: levels.pooled]
        self.box_head = BoxHead(body, len(self.classes), config.box, pooled, config.scale.canonical_size)
        self.to(memory_format=torch.channels_last)

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> dict[str, Tensor] | list[Detections]:
        """In training mode the losses of the paper's fig. 10; otherwise what is found in each image, in its own pixels.

        images: float (3, Hi, Wi) in 0..1, sizes may differ, of the weights' type and on their device; or a batch
        (N, 3, H, W). targets: needed in training, ignored otherwise. Detections come best first, boxes within the
        image. Raises `ValueError` naming the argument for wrong shapes, types, values or labels, `FloatingPointError`
        where the RPN's outputs are not finite.
        """
        check_images(images, like=next(self.rpn.parameters()))
        if self.training and targets is None:
            raise ValueError("targets: needed in training mode; call eval() to detect")
        if self.training:
            check_targets(targets, len(images), len(self.classes))
        batch = prepare_images(images, self.config.image)
        regions = self.propose(batch)
        return self.losses(regions, batch, targets) if self.training else self.detections(regions, batch)

    def network(self, pixels: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Everything dense: a batch (N, 3, H, W) -> L maps, their logits and deltas, as `Regions` holds them.

        Tensors in, tensors out, and nothing in it depends on their values, so that `torch.compile(fullgraph=True)` and
        `torch.export` can take it.
        """
        features = self.backbone(pixels)  # [C2, ..., C5], strides 4 to 32 (Table 1)
        pyramid = self.fpn(features)  # [P2, ..., P6], strides 4 to 64 (fig. 6); [C4] for the single-scale network
        logits, deltas = self.rpn.head(pyramid)  # one score and four deltas an anchor (fig. 7)
        return pyramid, logits, deltas

    def propose(self, batch: ImageBatch) -> Regions:
        """Stages 1 and 2, the same in training, detection and saliency: the maps, and the proposals on them."""
        pyramid, logits, deltas = self.network(batch.pixels)
        check_finite(logits, deltas)
        anchors = self.rpn.anchors_of(pyramid, batch.pixels.shape[-2:])
        return Regions(pyramid, logits, deltas, anchors, self.rpn.propose(logits, deltas, anchors, batch.sizes))

    def losses(self, regions: Regions, batch: ImageBatch, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The four losses and their sum (fig. 10): each head's targets are assigned first, then compared with."""
        truth = [batch.to_batch(target["boxes"].to(batch.pixels), index) for index, target in enumerate(targets)]
        labels = [target["labels"] for target in targets]

        # Stage 2: which anchors are objects, and where the objects are from there.
        anchor_targets = self.rpn.assign_targets(regions.anchors, truth, batch.sizes, self.generator)
        losses = self.rpn.loss(regions.logits, regions.deltas, anchor_targets)
        # Stage 3: a sample of the proposals is pooled, classified and refined.
        box_targets = self.box_head.assign_targets(regions.proposals, truth, labels, self.generator)
        logits, deltas = self.box_head(regions.pyramid, box_targets.proposals)
        losses |= self.box_head.loss(logits, deltas, box_targets)
        return losses | {"total_loss": torch.stack(list(losses.values())).sum()}

    def detections(self, regions: Regions, batch: ImageBatch) -> list[Detections]:
        """Stage 3 on all proposals, and the boxes back in the pixels of the images as they were passed in."""
        logits, deltas = self.box_head(regions.pyramid, regions.proposals)
        results = []
        for index, kept in enumerate(self.box_head.decode(logits, deltas, regions.proposals, batch.sizes)):
            boxes = clip_boxes(batch.to_original(kept.boxes, index), batch.originals[index])
            results.append({"boxes": boxes, "labels": kept.labels, "scores": kept.scores})
        return results


def build_detector(config: DetectorConfig, classes: Sequence[str], seed: int = 0) -> Detector:
    """A detector with fresh weights drawn from `seed`, in training mode. The caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        detector = Detector(config, classes)
    detector.generator.manual_seed(seed)
    return detector
