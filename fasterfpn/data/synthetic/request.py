"""What can be asked of the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fasterfpn.data.synthetic.close_up import lay_out_close_up
from fasterfpn.data.synthetic.defects import photograph
from fasterfpn.data.synthetic.layout import DECKS, lay_out, loosen
from fasterfpn.errors import InputError

Difficulty = Literal["easy", "real"]
Deck = Literal["paper", "balanced"]
SIZES = {"easy": (120, 160), "real": (1920, 2560)}  # (H, W) by default; "real" has the originals'
SMALLEST_SIDE, LARGEST_SIDE = 64, 10_000
GENERATOR_VERSION = "1"
"""Raised by hand where any picture or box changes: committed results and stopped experiments name it."""


@dataclass(frozen=True)
class Request:
    """A series of synthetic photographs. Each depends on these fields and on its index alone, so that any number of
    processes makes the same ones. Raises `InputError` for what cannot be synthesized."""

    seed: int
    difficulty: Difficulty = "easy"
    """easy: close-ups of one to three clear defects, all kinds equally likely. real: the paper's data set, with its
    frequencies, sizes and faint defects."""
    size: tuple[int, int] = SIZES["easy"]
    """(H, W) in pixels. Other proportions than 4:3 show the same scene, stretched."""
    deck: Deck = "paper"
    """For real images: the paper's frequencies of the kinds, or all kinds about equally often (50 boxes of each or more
    in 500 images)."""
    label_noise: bool = False
    """Some boxes are loose and some are missing, as in the paper's data set; the pictures stay."""

    def __post_init__(self) -> None:
        if self.difficulty not in SIZES:
            raise InputError(f"difficulty is {self.difficulty!r}; give one of {', '.join(SIZES)}")
        if self.deck not in DECKS:
            raise InputError(f"deck is {self.deck!r}; give one of {', '.join(DECKS)}")
        if self.difficulty == "easy" and self.deck != "paper":
            raise InputError(f"deck {self.deck} is for difficulty real; easy images show all kinds equally often")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; give 0 or more")
        if not SMALLEST_SIDE <= min(self.size) <= max(self.size) <= LARGEST_SIDE:
            raise InputError(
                f"size {self.size[1]}x{self.size[0]}: give sides of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
            )

    def photograph(self, index: int) -> tuple[bytes, np.ndarray, np.ndarray]:
        """Image number `index`: a JPEG, boxes float32 (N, 4) x1 y1 x2 y2 at whole pixels, labels int64 (N,) from 1.

        Raises `InputError` for a negative index.
        """
        if index < 0:
            raise InputError(f"index is {index}; give 0 or more")
        easy = self.difficulty == "easy"
        layout = lay_out_close_up(self.seed, index) if easy else lay_out(self.seed, index, self.deck)
        boxes, labels = layout.boxes(self.size), layout.labels()
        if self.label_noise:
            boxes, kept = loosen(np.random.default_rng([self.seed, index, 4]), boxes, self.size)
            labels = labels[kept]
        return photograph(layout, self.size), boxes, labels
