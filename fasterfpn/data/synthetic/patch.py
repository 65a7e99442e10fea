"""The part of a profile that a defect fills, and brushes that paint in its frame.

A patch has a from 0 to `length` along the profile and b from 0 to `breadth` across it, in reference pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fasterfpn.data.synthetic.layout import COATS, Defect, Profile, extent
from fasterfpn.data.synthetic.scene import Canvas, Colour, Pair, edge, noise

BARE, BARE_SHADED = (0.86, 0.84, 0.76), (0.52, 0.50, 0.44)  # aluminium, beside dark and beside light paint
Area = tuple[np.ndarray, np.ndarray, np.ndarray]  # pixels (3, h, w), a (1, w), b (h, w)


@dataclass(frozen=True)
class Patch:
    """Where a defect is painted, and with what."""

    rng: np.random.Generator
    canvas: Canvas
    profile: Profile
    defect: Defect
    clarity: float = 0.0

    @property
    def length(self) -> float:
        return self.defect.x2 - self.defect.x1

    @property
    def breadth(self) -> float:
        return self.defect.v2 - self.defect.v1

    @property
    def high_end(self) -> float:
        """Where its upper side is highest in the image: 0 at the left end, 1 at the right; its lower side opposite."""
        return float(self.profile.y(self.defect.x2, self.defect.v1) < self.profile.y(self.defect.x1, self.defect.v1))

    @property
    def coat(self) -> np.ndarray:
        return np.float32(COATS[self.profile.coat])

    @property
    def bare(self) -> Colour:
        """Bare metal, so that it shows on this coat."""
        return BARE if self.coat.mean() < 0.65 else BARE_SHADED

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def strength(self, low: float, high: float) -> float:
        """How clearly something shows, at most 1: uniform between the real setting's limits, moved by `clarity`."""
        shift = self.clarity * (high - low)
        return min(self.between(low + shift, high + shift), 1.0)

    def graded(self, low: float, high: float) -> float:
        """`strength` on a logarithmic scale: as many faint ones as clear ones."""
        return min(float(np.exp(self.between(*np.log((low, high)) + self.clarity * np.log(high / low)))), 1.0)

    def area(self) -> Area:
        """The pixels around the defect, and where on it they are."""
        pixels, x, y = self.canvas.window(*extent(self.profile, self.defect))
        b = (self.profile.across(x, y) - self.defect.v1).astype(np.float32)
        return pixels, x - np.float32(self.defect.x1), b

    def noise(self, across: float, along: float, like: np.ndarray) -> np.ndarray:
        """Bumps of that grain for the pixels of the area."""
        high = extent(self.profile, self.defect)
        return noise(self.rng, (high[3] - high[1], self.length), (across, along), like.shape[-2:])

    def within(self, a: np.ndarray, b: np.ndarray, soft: float = 4) -> np.ndarray:
        """1 inside, 0 outside, over `soft` pixels at the rim."""
        pixel = 1 / self.canvas.scale[0]
        across = edge(np.minimum(b, np.float32(self.breadth) - b) + np.float32(pixel / 2), max(soft, pixel))
        if self.length < 2500:
            across = across * edge(np.minimum(a, np.float32(self.length) - a) + np.float32(pixel / 2), max(soft, pixel))
        return across

    def fading(self, a: np.ndarray, least: float) -> np.ndarray:
        """1 in the middle, `least` at the ends, if these are on the profile; clear defects fade less."""
        least = min(least + self.clarity, 1)
        inward = np.minimum(a, np.float32(self.length) - a) if self.length < 2500 else np.full_like(a, self.length)
        return np.float32(least) + np.float32(1 - least) * edge(inward, 0.3 * self.length)

    def spot(self, a: float, b: float, radius: Pair, colour: Colour, alpha: float, ragged: float = 0) -> None:
        """An ellipse at (a, b)."""
        x = self.defect.x1 + a
        y = self.profile.y(x, self.defect.v1 + b)
        self.canvas.spot(x, y, radius, colour, alpha, ragged, self.between(0, 6))

    def stroke(self, a: np.ndarray, b: np.ndarray, width: float, colour: Colour, alpha: np.ndarray | float) -> None:
        """A line through the points (a, b)."""
        x = self.defect.x1 + a
        self.canvas.stroke(x, self.profile.y(x, self.defect.v1 + b), width, colour, alpha)
