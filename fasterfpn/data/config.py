"""The options about the data that the command lines offer."""

from __future__ import annotations

from dataclasses import dataclass

from fasterfpn.data.synthetic.request import Difficulty
from fasterfpn.errors import InputError


@dataclass(frozen=True)
class DataConfig:
    """Where the images come from, how they are split and how they are read."""

    data: str = "synthetic"
    """Folder of images with VOC annotations or in the aluminium data set's own layout (labelme), or "synthetic" for the
    built-in aluminium profiles."""
    difficulty: Difficulty = "easy"
    """Difficulty of the built-in profiles: easy shows clear defects close up, 160x120 pixels; real is like the
    paper's data, 640x480 pixels."""
    with_defect_free: bool = False
    """In the aluminium data set's layout, also use the images without defects."""
    allow_copies: bool = False
    """Continue even if two parts share images (compared by content), which makes the results look too good."""
    split_seed: int = 0
    """Seed of the split into training, validation and test parts, where the folder does not name them."""
    validation_fraction: float = 0.1
    """Share of the training images set aside to choose the checkpoint, where the folder has no validation part."""
    test_fraction: float = 0.1
    """Share of the images set aside for the final evaluation, where the folder has no test part."""
    flip: bool = True
    """Flip an image not at all, horizontally, vertically or both, with probability 1/4 each, every time it is used."""
    workers: int = 0
    """Processes that decode images beside the training process; the batches do not depend on their number."""

    def __post_init__(self) -> None:
        shares = self.validation_fraction, self.test_fraction
        if not (min(shares) >= 0 and sum(shares) < 1):  # refuses NaN too
            raise InputError(
                f"validation_fraction {shares[0]} and test_fraction {shares[1]}; give two numbers >= 0 whose sum is "
                "below 1"
            )
        if self.workers < 0:
            raise InputError(f"workers is {self.workers}; give 0 or more")
