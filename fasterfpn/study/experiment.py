"""Defines the paper's experiment at three scales: images, networks, training, and how the results are measured.

NETWORKS maps a network's name in the report to its `architecture` in the configuration.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from fasterfpn.data.config import DataConfig
from fasterfpn.engine.config import SMALL, Config, TrainingConfig
from fasterfpn.geometry.anchors import AREAS
from fasterfpn.models.config import BackboneConfig, DetectorConfig, ImageConfig, ScaleConfig

NETWORKS = {"multiscale": "fpn", "single-scale": "conv4", "without top-down": "fpn-without-top-down"}
BASE = "single-scale"  # gains are relative to this network
PAPER = {  # Wei and Bi 2019, table 2 and figure 11; the paper prints no AP per type for the single-scale network
    "mAP": {"multiscale": 75.8, "single-scale": 63.3},
    "seconds_per_image": {"multiscale": 0.84, "single-scale": 0.73},
    "AP": {
        "multiscale": {
            "non-conductive": 84.6,
            "scratch": 48.5,
            "corner leak": 96.9,
            "orange peel": 97.9,
            "leakage": 96.9,
            "jet": 42.5,
            "paint bubble": 47.2,
            "crater": 100.0,
            "parti-color": 100.0,
            "dirty point": 43.3,
        }
    },
}


@dataclass(frozen=True)
class LearningRates:
    """The learning rate of each network after the warm-up, and how the rates were chosen (a sentence of the report)."""

    multiscale: float
    single_scale: float
    without_top_down: float
    chosen: str

    def of(self, network: str) -> float:
        """The learning rate of the network with this name in NETWORKS."""
        return getattr(self, network.replace(" ", "_").replace("-", "_"))


@dataclass(frozen=True)
class Experiment:
    """The experiment at one scale. Its networks differ only in architecture and learning rate (see `config`)."""

    model: DetectorConfig
    training: TrainingConfig
    learning_rates: LearningRates
    image_size: tuple[int, int] = (1920, 2560)
    """(H, W) of the synthetic images."""
    images: tuple[int, int, int] = (2705 - 270, 270, 300)
    """Numbers of synthetic images for training, validation and test."""
    label_noise: bool = True
    """Whether the training and validation parts have loose and missing boxes; the test part has neither."""
    data_seed: int = 0
    """Seed of the images; trainings with different seeds use the same images."""
    short_sides: tuple[float, ...] = (0, 4, 8, 16, 32, math.inf)
    """Edges of the bins of objects by shorter side, in pixels of the network's input."""
    draws: int = 1000
    """Draws of the bootstrap over the test images."""

    def config(self, network: str, data: str, seed: int) -> Config:
        """The configuration of one network's training, on the images in `data`."""
        model = replace(self.model, architecture=NETWORKS[network])
        rate = self.learning_rates.of(network)
        return Config(model, DataConfig(data=data), replace(self.training, learning_rate=rate, seed=seed))

    def record(self) -> dict[str, Any]:
        """The settings for JSON, with None for infinity."""
        content = asdict(self)
        return content | {"short_sides": [side if side < math.inf else None for side in self.short_sides]}


CPU = Experiment(
    # The images are a fifth as wide and high as the originals. At width 512, anchors and the 224 of eq. 2 scale by 0.4.
    model=replace(
        SMALL.model,
        image=ImageConfig(image_min_side=384, image_max_side=512),
        scale=ScaleConfig(anchor_areas=tuple(0.4**2 * area for area in AREAS), canonical_size=89.6),
        box=replace(SMALL.model.box, score_threshold=0.05),
    ),
    training=replace(SMALL.training, steps=6000, batch_size=2, validations=6, log_every=25),
    learning_rates=LearningRates(
        multiscale=0.00025,
        single_scale=0.004,
        without_top_down=0.00025,
        chosen="the highest validation mAP of runs of 3,000 steps: multiscale 11.3, 18.7, 15.2, 11.4 and 2.2 % at "
        "0.000125, 0.00025, 0.0005, 0.001 and 0.002, single-scale 20.6, 21.0, 23.2, 25.9 and 20.1 % at 0.0005, 0.001, "
        "0.002, 0.004 and 0.008; without top-down has the multiscale network's",
    ),
    image_size=(384, 512),
    images=(1500, 200, 500),
)
TINY = replace(  # runs every stage in about a minute, but is too short to learn anything
    CPU,
    model=replace(
        CPU.model,
        image=ImageConfig(image_min_side=96, image_max_side=128),
        backbone=BackboneConfig(depth=10, width=16, norm="batch", pyramid_channels=16),
        box=replace(CPU.model.box, box_hidden=16, box_sample=16, score_threshold=0.01),
        rpn=replace(CPU.model.rpn, rpn_keep_train=50, rpn_keep_test=50),
    ),
    training=replace(CPU.training, steps=12, validations=2, log_every=2, warmup_steps=2),
    image_size=(96, 128),
    images=(40, 4, 12),
    draws=50,
)
FULL = Experiment(  # the paper's recipe (sec. 4.1), except for group norm without pre-trained weights
    model=DetectorConfig(backbone=BackboneConfig(norm="group")),
    training=TrainingConfig(),
    learning_rates=LearningRates(multiscale=0.001, single_scale=0.001, without_top_down=0.001, chosen="not tuned"),
)
SCALES = {"cpu": CPU, "paper": FULL, "tiny": TINY}
