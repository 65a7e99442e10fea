"""The detector's configuration: one frozen dataclass a part, each default with its source.

Names are unique over all parts, so that each is a plain flag on the command line (`--anchor-areas`, `--norm`). Where
the paper (Wei and Bi 2019) is silent, Ren et al. 2015 (Faster R-CNN) and Lin et al. 2017 (FPN) decide, and
torchvision's practice after them. Lengths and areas are pixels of the resized image; IoUs and scores lie in 0..1.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from fasterfpn.errors import InputError
from fasterfpn.geometry.anchors import AREAS, RATIOS, Anchors
from fasterfpn.models.levels import Levels

Norm = Literal["frozen_batch", "batch", "group"]
Architecture = Literal["fpn", "fpn-without-top-down", "conv4"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


@dataclass(frozen=True)
class ImageConfig:
    """What happens to an image before the network (sec. 4.1)."""

    image_min_side: int = 960
    """The shorter side is resized to this many pixels (sec. 4.1)."""
    image_max_side: int = 2000
    """The longer side may not exceed this; the image is made smaller still where it would."""
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Subtracted from the red, green and blue channel in 0..1 (ImageNet's)."""
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Divided by, after the mean was subtracted (ImageNet's)."""
    pad_multiple: int = 1
    """Batches are padded with zeros to a multiple of this (torchvision: 32)."""

    def __post_init__(self) -> None:
        _require(32 <= self.image_min_side <= self.image_max_side, "image_min_side must be in 32..image_max_side")
        _require(min(self.image_std) > 0, "image_std must be positive")
        _require(self.pad_multiple >= 1, "pad_multiple must be at least 1")


@dataclass(frozen=True)
class BackboneConfig:
    """ResNet (Table 1) and feature pyramid (fig. 6)."""

    depth: Literal[10, 18, 34, 50, 101, 152] = 101
    """Layers of the ResNet; 10 is one basic block a stage, for CPUs."""
    width: int = 64
    """Channels of conv1 and of the first stage's blocks; later stages double it."""
    norm: Norm = "frozen_batch"
    """frozen_batch needs trained weights; group (or batch, with large batches) trains from scratch."""
    norm_eps: float = 1e-5
    """Added to the variance (torchvision's COCO weights were trained with 0 added)."""
    frozen_stages: int = 0
    """Stages that are not trained: 1 is the stem, 2 adds conv2_x, up to 5 (with conv4 up to 4)."""
    pyramid_channels: int = 256
    """Channels of every level P2..P6 (Lin et al. sec. 3)."""

    def __post_init__(self) -> None:
        # Not 8: with 8 channels, torch 2.13's own convolutions (oneDNN, AVX-512) were seen to corrupt memory.
        _require(self.width >= 16 and self.width % 16 == 0, "width must be a positive multiple of 16")
        _require(self.pyramid_channels >= 8, "pyramid_channels must be at least 8")
        _require(0 <= self.frozen_stages <= 5, "frozen_stages must be in 0..5")
        _require(self.norm_eps >= 0, "norm_eps must not be negative")


@dataclass(frozen=True)
class ScaleConfig:
    """Which level looks for what size (fig. 8, eq. 2). Scale all of it with the images."""

    anchor_areas: tuple[float, float, float, float, float] = AREAS
    """Anchor areas on P2..P6 (with conv4 all on the one map), in square pixels of the resized image (fig. 8)."""
    anchor_ratios: tuple[float, ...] = RATIOS
    """Anchor height : width (fig. 8)."""
    anchors_rounded: bool = False
    """Round anchor corners to whole pixels, as torchvision does."""
    anchor_strides_measured: bool = False
    """Take strides as image side // level side (torchvision) instead of 4, 8, 16, 32, 64."""
    canonical_size: float = 224.0
    """Eq. 2's 224: the side of a square proposal at which P4 begins."""

    def __post_init__(self) -> None:
        _require(all(0 < area < math.inf for area in self.anchor_areas), "anchor_areas must be positive and finite")
        _require(bool(self.anchor_ratios), "anchor_ratios: at least one is needed")
        _require(all(0 < r < math.inf for r in self.anchor_ratios), "anchor_ratios must be positive and finite")
        _require(self.canonical_size > 0, "canonical_size must be positive")


@dataclass(frozen=True)
class RpnConfig:
    """The region proposal network (fig. 7; Ren et al. sec. 3.1; Lin et al. sec. 4.1)."""

    rpn_foreground_iou: float = 0.7
    """An anchor is an object from this IoU with a ground truth on (Ren et al. 3.1.2)."""
    rpn_background_iou: float = 0.3
    """An anchor is background below this IoU with every ground truth (Ren et al. 3.1.2)."""
    rpn_every_tie: bool = False
    """All anchors that tie for a ground truth's best IoU are positive (torchvision), not only the first."""
    rpn_sample: int = 256
    """Anchors an image in the loss (Ren et al. 3.1.3)."""
    rpn_positive_fraction: float = 0.5
    """At most this part of them are objects (Ren et al. 3.1.3)."""
    rpn_beta: float = 1.0
    """Where smooth L1 turns from square to line (eq. 6; torchvision: 1/9)."""
    rpn_loc_weight: float = 1.0
    """lambda of eq. 3."""
    rpn_pre_nms_train: int = 2000
    """Best-scored anchors that reach NMS in training, for each anchor area of a level: on a pyramid, so many a level
    (torchvision); on conv4, whose one map has all five areas, five times as many, so that it proposes as much."""
    rpn_pre_nms_test: int = 1000
    """Best-scored anchors that reach NMS when detecting."""
    rpn_keep_train: int = 2000
    """Proposals an image after NMS in training (Lin et al. 4.1)."""
    rpn_keep_test: int = 1000
    """Proposals an image after NMS when detecting (Lin et al. 4.1)."""
    rpn_nms_iou: float = 0.7
    """NMS among the proposals of one level (Ren et al. 3.1.3)."""
    rpn_min_side: float = 1e-3
    """Proposals with a shorter side are dropped (torchvision)."""

    def __post_init__(self) -> None:
        _require(
            0 <= self.rpn_background_iou <= self.rpn_foreground_iou <= 1,
            "need 0 <= rpn_background_iou <= rpn_foreground_iou <= 1",
        )
        _require(0 < self.rpn_positive_fraction <= 1, "rpn_positive_fraction must be in (0, 1]")
        _require(0 <= self.rpn_nms_iou <= 1, "rpn_nms_iou must be in 0..1")
        _require(self.rpn_beta > 0, "rpn_beta must be positive")
        counts = (self.rpn_pre_nms_train, self.rpn_pre_nms_test, self.rpn_keep_train, self.rpn_keep_test)
        _require(min(self.rpn_sample, *counts) >= 1, "rpn_sample, rpn_pre_nms_* and rpn_keep_* must be at least 1")


@dataclass(frozen=True)
class BoxHeadConfig:
    """The two-layer head on pooled proposals (sec. 3.4; Girshick 2015, Fast R-CNN)."""

    pool_size: int = 7
    """Each proposal is pooled to pool_size x pool_size (fig. 9b)."""
    box_hidden: int = 1024
    """Width of the two fully connected layers (sec. 3.4)."""
    box_foreground_iou: float = 0.5
    """A proposal belongs to a ground truth from this IoU on, and is background below (Fast R-CNN 2.3)."""
    box_sample: int = 512
    """Proposals an image in the loss (Lin et al. 4.2)."""
    box_positive_fraction: float = 0.25
    """At most this part of them are objects (Fast R-CNN 2.3)."""
    box_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Factors on eq. 4's tx, ty, tw, th (torchvision and detectron2: 10, 10, 5, 5)."""
    box_beta: float = 1.0
    """Where smooth L1 turns from square to line (eq. 6; torchvision: 1/9)."""
    score_threshold: float = 0.05
    """Detections must score more than this (Fast R-CNN's practice)."""
    detection_nms_iou: float = 0.5
    """NMS among the detections of one class."""
    detection_min_side: float = 1e-2
    """Detections with a shorter side are dropped (torchvision)."""
    max_detections: int = 100
    """Detections an image (COCO's practice)."""

    def __post_init__(self) -> None:
        _require(0 < self.box_foreground_iou <= 1, "box_foreground_iou must be in (0, 1]")
        _require(0 < self.box_positive_fraction <= 1, "box_positive_fraction must be in (0, 1]")
        _require(0 <= self.detection_nms_iou <= 1, "detection_nms_iou must be in 0..1")
        _require(min(self.box_weights) > 0 and self.box_beta > 0, "box_weights and box_beta must be positive")
        counts = (self.pool_size, self.box_hidden, self.box_sample, self.max_detections)
        _require(min(counts) >= 1, "pool_size, box_hidden, box_sample and max_detections must be at least 1")


@dataclass(frozen=True)
class DetectorConfig:
    """All of the network. The defaults are the paper's network (ResNet-101, shorter side 960)."""

    architecture: Architecture = "fpn"
    """fpn: the multiscale network (fig. 4). conv4: the single-scale one that it is compared with (sec. 4), Ren et al.
    on C4 with conv5 behind the pooling. fpn-without-top-down: a pyramid whose levels do not add what is above."""
    image: ImageConfig = field(default_factory=ImageConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    rpn: RpnConfig = field(default_factory=RpnConfig)
    box: BoxHeadConfig = field(default_factory=BoxHeadConfig)

    def __post_init__(self) -> None:
        stages = 4 if self.architecture == "conv4" else 5  # conv5 of conv4 belongs to the box head
        _require(self.backbone.frozen_stages <= stages, f"{self.architecture}: frozen_stages must be in 0..{stages}")

    @classmethod
    def torchvision(cls, **changes: Any) -> DetectorConfig:
        """The configuration of torchvision's `fasterrcnn_resnet50_fpn`, with `changes` by the fields' own names.

        `DetectorConfig.torchvision(depth=18, max_detections=300)` is torchvision's in all but these two. Its released
        COCO weights want `norm_eps=0.0`. Raises TypeError for a name that no part has.
        """
        values = TORCHVISION | changes
        parts = {part.name: part.default_factory for part in dataclasses.fields(cls) if part.name != "architecture"}
        names = {name: {each.name for each in dataclasses.fields(part)} for name, part in parts.items()}
        if unknown := values.keys() - set().union(*names.values()):
            raise TypeError(f"DetectorConfig.torchvision: no field named {', '.join(sorted(unknown))}")
        return cls(
            **{name: part(**{k: values[k] for k in names[name] & values.keys()}) for name, part in parts.items()}
        )

    def levels(self) -> Levels:
        """The feature maps of this architecture."""
        make = Levels.single if self.architecture == "conv4" else Levels.pyramid
        return make(self.scale.anchor_areas)

    def anchors(self) -> Anchors:
        """The anchors on these maps."""
        levels, scale = self.levels(), self.scale
        return Anchors(
            levels.strides, levels.areas, scale.anchor_ratios, scale.anchors_rounded, scale.anchor_strides_measured
        )


# torchvision's values where they differ from the defaults above, which are the paper's.
TORCHVISION = {
    "image_min_side": 800,
    "image_max_side": 1333,
    "pad_multiple": 32,
    "depth": 50,
    "frozen_stages": 2,
    "anchors_rounded": True,
    "anchor_strides_measured": True,
    "rpn_every_tie": True,
    "rpn_beta": 1 / 9,
    "box_weights": (10.0, 10.0, 5.0, 5.0),
    "box_beta": 1 / 9,
}
