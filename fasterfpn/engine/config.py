"""Everything a run is made of: the network, the data, the training, and the presets.

`demo` learns the built-in images in a few minutes on two CPU cores, `small` a data set of one's own in half an hour;
`paper` is the paper's recipe for a GPU (sec. 4.1), `torchvision` that of torchvision's Faster R-CNN.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import cattrs
from cattrs.strategies import configure_union_passthrough

from fasterfpn.data.config import DataConfig
from fasterfpn.engine.migrations import FORMAT_VERSION, migrate
from fasterfpn.errors import InputError
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig, ImageConfig, RpnConfig, ScaleConfig


@dataclass(frozen=True)
class TrainingConfig:
    """The optimiser and its schedule (sec. 4.1). Give one of epochs, steps and minutes; minutes wins over steps,
    steps over epochs."""

    epochs: float = 50
    """Visits of every training image."""
    steps: int | None = None
    """Batches, instead of epochs."""
    minutes: float | None = None
    """Time for the training loop, instead: the number of steps is fixed once the first 20 have been timed."""
    batch_size: int = 1
    """Images a step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """The paper trains with sgd; adamw gets further in few steps from scratch."""
    learning_rate: float = 0.001
    """Learning rate after the warm-up, its highest value."""
    momentum: float = 0.9
    """Momentum of sgd, and the first beta of adamw."""
    weight_decay: float = 0.0005
    """Not applied to norms and biases where the optimiser is adamw."""
    warmup_steps: int = 0
    """The learning rate rises in a straight line over so many steps."""
    decay: Literal["none", "cosine"] = "none"
    """How the learning rate falls to the end: not at all (the paper), or along half a cosine to 0."""
    clip_norm: float = 0.0
    """Scale the gradient down to this norm where it is longer; 0 leaves it."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Number format of convolutions and matrix products; auto is bfloat16 where the processor multiplies it faster."""
    validations: int = 10
    """Times that the validation part is evaluated, evenly over the run; the best one's weights are kept."""
    log_every: int = 50
    """Steps between two lines of losses.csv (sec. 4.2)."""
    seed: int = 0
    """Seed of the initial weights, the order of the images, the flips and the samples."""

    def __post_init__(self) -> None:
        limits = {
            "epochs": 0 < self.epochs < math.inf,
            "steps": self.steps is None or self.steps >= 1,
            "minutes": self.minutes is None or 0 < self.minutes < math.inf,
            "batch_size": self.batch_size >= 1,
            "learning_rate": 0 < self.learning_rate < math.inf,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "warmup_steps": self.warmup_steps >= 0,
            "clip_norm": 0 <= self.clip_norm < math.inf,
            "validations": self.validations >= 1,
            "log_every": self.log_every >= 1,
            "seed": 0 <= self.seed < 2**63,
        }
        for name, holds in limits.items():
            if not holds:
                raise InputError(f"{name}: {getattr(self, name)} is out of range")


@dataclass(frozen=True)
class Config:
    """A whole run; written into every checkpoint."""

    model: DetectorConfig = field(default_factory=DetectorConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


SMALL = Config(
    model=DetectorConfig(
        image=ImageConfig(image_min_side=224, image_max_side=448),
        # Batch norm: on two cores it is a third faster than group norm, and a batch of 4 gives each channel of C5 still
        # 4 x 7 x 7 values to average over.
        backbone=BackboneConfig(depth=10, norm="batch", pyramid_channels=64),
        # Scaled with the images, whose sides are a quarter of the paper's: eq. 2's 224 to 96, anchor sides to 24..256.
        # Not to a full quarter: every level gets its share, while a proposal's 7 x 7 bins stay about a cell wide; where
        # they were smaller, the rounding of RoI corners to whole cells cost accuracy.
        scale=ScaleConfig(anchor_areas=(24.0**2, 44.0**2, 80.0**2, 144.0**2, 256.0**2), canonical_size=96.0),
        rpn=RpnConfig(
            rpn_pre_nms_train=500, rpn_keep_train=500, rpn_pre_nms_test=300, rpn_keep_test=300, rpn_beta=1 / 9
        ),
        # A score of 1/10 is chance among ten classes: a head that has learnt to find things but not to name them
        # reports each under every class. 0.12 all but silences it; 0.15 cost 0.2 points of mAP on NEU-DET's validation
        # part.
        box=BoxHeadConfig(
            box_hidden=256,
            box_sample=128,
            box_weights=(10.0, 10.0, 5.0, 5.0),
            box_beta=1 / 9,
            score_threshold=0.12,
        ),
    ),
    training=TrainingConfig(
        epochs=6,
        batch_size=4,
        optimizer="adamw",
        learning_rate=0.001,
        weight_decay=0.05,
        warmup_steps=100,
        decay="cosine",
        clip_norm=10.0,
        precision="auto",
        validations=4,
    ),
)
TORCHVISION = Config(  # torchvision's detector and its recipe for COCO (SGD 0.02 for 16 images a step), at 2 a step
    model=DetectorConfig.torchvision(),
    training=TrainingConfig(
        epochs=26, batch_size=2, learning_rate=0.0025, weight_decay=0.0001, warmup_steps=1000, decay="cosine"
    ),
)
DEMO = replace(
    SMALL,
    model=replace(
        SMALL.model,
        # The built-in images at their own size, 160x120; their boxes are 12 to 85 pixels long. All is scaled with them,
        # and the network is half as wide as the small one: a step takes a tenth of its time.
        image=ImageConfig(image_min_side=120, image_max_side=240),
        backbone=replace(SMALL.model.backbone, width=32, pyramid_channels=48),
        scale=ScaleConfig(anchor_areas=(14.0**2, 22.0**2, 34.0**2, 50.0**2, 75.0**2), canonical_size=80.0),
        rpn=replace(
            SMALL.model.rpn, rpn_pre_nms_train=150, rpn_keep_train=150, rpn_pre_nms_test=150, rpn_keep_test=150
        ),
        box=replace(SMALL.model.box, box_hidden=128, box_sample=64),
    ),
    training=replace(SMALL.training, epochs=8, learning_rate=0.0015),
)
Preset = Literal["demo", "small", "paper", "torchvision"]
PRESETS: dict[Preset, Config] = {"demo": DEMO, "small": SMALL, "paper": Config(), "torchvision": TORCHVISION}

_converter = cattrs.Converter(forbid_extra_keys=True)
configure_union_passthrough(int | float | None, _converter)


def config_record(config: Config) -> dict[str, Any]:
    """For JSON: equal configurations give equal text, whether a number was given as 6 or as 6.0."""
    return {"format_version": FORMAT_VERSION, **asdict(_converter.structure(asdict(config), Config))}


def config_from_record(record: object, source: str) -> Config:
    """Read a configuration back from a record of this version or an earlier one.

    Raises `InputError` naming `source` for what is no configuration of this program.
    """
    try:
        if not isinstance(record, dict):
            raise ValueError("not an object")
        return _converter.structure(migrate(record), Config)
    except (ValueError, TypeError, KeyError, cattrs.BaseValidationError) as error:
        reasons = cattrs.transform_error(error) if isinstance(error, cattrs.BaseValidationError) else [str(error)]
        raise InputError(f"{source}: its configuration does not fit this program: {'; '.join(reasons)}") from error
