"""What the command lines let a user choose about the data."""

from __future__ import annotations

from dataclasses import dataclass

from fasterfpn.data.synthetic.request import Difficulty
from fasterfpn.errors import InputError


@dataclass(frozen=True)
class DataConfig:
    """Where the images come from and how they are visited."""

    data: str = "synthetic"
    """Folder of images with VOC annotations or in the aluminium data set's own layout (labelme), or "synthetic" for the
    built-in aluminium profiles."""
    difficulty: Difficulty = "easy"
    """Difficulty of the built-in profiles: easy shows clear defects close up, 160x120; real is like the paper's data,
    640x480."""
    with_defect_free: bool = False
    """In the aluminium data set's layout, take the images without defect as well."""
    allow_copies: bool = False
    """Train although two parts share images (found by their content), which makes the results too good."""
    split_seed: int = 0
    """Seed of the split into parts, where the folder does not name them."""
    validation_fraction: float = 0.1
    """Share of the training images set aside to choose the checkpoint, where the folder has no validation part."""
    test_fraction: float = 0.1
    """Share of the images set aside for the final figure, where the folder has no test part."""
    flip: bool = True
    """Draw none, horizontal, vertical or both flips, with probability 1/4 each, at every visit of an image."""
    workers: int = 0
    """Processes that decode images beside the training process; the batches do not depend on it."""

    def __post_init__(self) -> None:
        shares = self.validation_fraction, self.test_fraction
        if not (min(shares) >= 0 and sum(shares) < 1):  # not where one is NaN either
            raise InputError(
                f"validation_fraction {shares[0]} and test_fraction {shares[1]}; give two numbers from 0 whose sum is "
                "below 1"
            )
        if self.workers < 0:
            raise InputError(f"workers is {self.workers}; give 0 or more")
