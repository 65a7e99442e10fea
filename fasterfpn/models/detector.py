"""The multiscale defect detection network (fig. 4), and the single-scale one: the wiring of parts, and nothing else.

N images (3, Hi, Wi) in 0..1; targets {"boxes": (Gi, 4), "labels": (Gi,) int64 in 1..K}; results add "scores".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fasterfpn.geometry import clip_boxes
from fasterfpn.geometry.anchors import STRIDES
from fasterfpn.models.box_head import BoxHead, Conv5, TwoLayers
from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.fpn import FPN
from fasterfpn.models.images import prepare_images
from fasterfpn.models.resnet import ResNet
from fasterfpn.models.rpn import RPN

Target = dict[str, Tensor]


class Detector(nn.Module):
    """Faster R-CNN on a feature pyramid, or on C4. `generator` draws the training samples: seed it to repeat a run."""

    def __init__(self, config: DetectorConfig, classes: Sequence[str]) -> None:
        super().__init__()
        if len(classes) == 0:
            raise ValueError("classes: at least one name is needed")
        self.config = config
        self.classes = tuple(classes)
        self.generator = torch.Generator()
        effective = config.effective()
        self.image_config = effective.image
        if config.architecture == "conv4":
            self.backbone = ResNet(effective.backbone, stages=3)
            self.fpn = None
            channels, strides = self.backbone.channels[-1], STRIDES[2:3]
        else:
            self.backbone = ResNet(effective.backbone)
            channels, strides = effective.backbone.pyramid_channels, STRIDES
            self.fpn = FPN(self.backbone.channels, channels, top_down=config.architecture == "fpn")
        self.rpn = RPN(channels, effective.rpn, effective.scale, strides)
        body = Conv5(effective.backbone) if self.fpn is None else TwoLayers(channels, effective.box)
        pooled = strides[:4]  # P2..P5: P6 serves the RPN alone (fig. 9b)
        self.box_head = BoxHead(body, len(self.classes), effective.box, pooled, effective.scale.canonical_size)
        self.to(memory_format=torch.channels_last)

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> dict[str, Tensor] | list[Target]:
        """In training mode the losses of the paper's fig. 10; otherwise one result an image, in its own pixels.

        images: float (3, Hi, Wi) in 0..1, sizes may differ. targets: needed in training. Raises `ValueError` naming
        the argument for wrong shapes, types or labels, `FloatingPointError` where the outputs are no longer finite.
        """
        if not self.training:
            return self.detect(images)
        if targets is None:
            raise ValueError("targets: needed in training mode; call eval() to detect")
        batch = prepare_images(images, self.image_config)
        check_targets(targets, len(images), len(self.classes))
        truth = [batch.to_batch(target["boxes"], index) for index, target in enumerate(targets)]
        labels = [target["labels"] for target in targets]

        pyramid = self.levels(batch.pixels)
        proposals, losses = self.rpn(pyramid, batch, truth, self.generator)
        losses |= self.box_head.loss(pyramid, proposals, truth, labels, self.generator)
        return losses | {"total_loss": torch.stack(list(losses.values())).sum()}

    def levels(self, pixels: Tensor) -> list[Tensor]:
        """What RPN and box head look at: [P2, ..., P6], or [C4] alone."""
        features = self.backbone(pixels)
        return features[-1:] if self.fpn is None else self.fpn(features)

    def detect(self, images: Sequence[Tensor]) -> list[Target]:
        """{"boxes" (D, 4), "labels" (D,), "scores" (D,)} an image, best first, boxes within the image."""
        batch = prepare_images(images, self.image_config)
        pyramid = self.levels(batch.pixels)
        proposals, _ = self.rpn(pyramid, batch, None, self.generator)
        results = self.box_head.detect(pyramid, proposals, batch.sizes)
        for index, (result, size) in enumerate(zip(results, batch.originals, strict=True)):
            result["boxes"] = clip_boxes(batch.to_original(result["boxes"], index), size)
        return results


def check_targets(targets: Sequence[Target], images: int, classes: int) -> None:
    """Raise `ValueError` unless each image has a target: float (G, 4) boxes, x1 < x2, y1 < y2, labels in 1..classes."""
    if len(targets) != images:
        raise ValueError(f"targets: {len(targets)} for {images} images")
    for index, target in enumerate(targets):
        if missing := {"boxes", "labels"} - target.keys():
            raise ValueError(f"targets[{index}]: {sorted(missing)} missing")
        boxes, labels = target["boxes"], target["labels"]
        if boxes.dim() != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
            raise ValueError(f"targets[{index}]['boxes']: want float (G, 4), got {boxes.dtype} {tuple(boxes.shape)}")
        if labels.shape != boxes.shape[:1] or labels.dtype != torch.int64:
            raise ValueError(
                f"targets[{index}]['labels']: want int64 ({len(boxes)},), got {labels.dtype} {tuple(labels.shape)}"
            )
        if not bool(boxes.isfinite().all()) or not bool((boxes[:, 2:] > boxes[:, :2]).all()):
            raise ValueError(f"targets[{index}]['boxes']: want finite corners with x1 < x2 and y1 < y2")
        if len(labels) and not 1 <= int(labels.min()) <= int(labels.max()) <= classes:
            raise ValueError(f"targets[{index}]['labels']: want 1..{classes}")


def build_detector(config: DetectorConfig, classes: Sequence[str], seed: int = 0) -> Detector:
    """A detector with fresh weights drawn from `seed`, in training mode. The caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        detector = Detector(config, classes)
    detector.generator.manual_seed(seed)
    return detector
