"""The ten defects of a painted aluminium profile, each told by its shape and texture.

A defect is drawn as a tone, float32 (h, w): 0 where the coating is sound, +1 as far from it as the defect goes, -1 as
far to the other side. Whether + is lighter or darker is drawn by lot, and so is a tint, so that no colour belongs to a
kind. Lengths are in units (a pixel of a 320x240 image). Each function below draws one kind in one orientation;
`draw_defect` mirrors it by lot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fasterfpn.data.synthetic.easy_scene import Profile, smooth_noise, unit_of


@dataclass(frozen=True)
class Canvas:
    """The window of the image that a defect is drawn in: h x w pixels, each at (a, v) from the defect's centre.

    a (1, w) runs along the profile and v (h, w) across it, in units; the defect fills |a| <= length / 2 and
    |v| <= breadth / 2. `unit` is in pixels.
    """

    rng: np.random.Generator
    a: np.ndarray
    v: np.ndarray
    length: float
    breadth: float
    unit: float

    def noise(self, grain_v: float, grain_a: float | None = None) -> np.ndarray:
        """Smooth noise whose bumps measure `grain_v` across and `grain_a` (default: as much) along the profile."""
        grain_a = grain_v if grain_a is None else grain_a
        return smooth_noise(self.rng, self.v.shape, (grain_v * self.unit, grain_a * self.unit))

    def depth(self, power: float) -> np.ndarray:
        """1 in the middle, 0 on the superellipse that fills the extents (power 2: ellipse, 8: near a box), then < 0."""
        return 1 - np.abs(2 * self.a / self.length) ** power - np.abs(2 * self.v / self.breadth) ** power


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    """1 on a line, falling off over `width`."""
    return np.exp(-((distance / width) ** 2))


def _edge(distance: np.ndarray, width: float = 1.0) -> np.ndarray:
    """0 outside (distance < 0), 1 from `width` inside."""
    return np.clip(distance / width, 0, 1)


def non_conductive(c: Canvas) -> np.ndarray:
    """A patch of dense fine speckles, bare grains through a thin coating, thinning out towards its rim."""
    density = np.clip(2.5 * c.depth(3), 0, 1)
    return _edge(c.noise(1.6) - 1.3 + 0.9 * density, 0.7) * (density > 0)


def scratch(c: Canvas) -> np.ndarray:
    """A few thin long lines, nearly parallel, slanted to the profile; each a furrow and a burr of the other tone."""
    count = c.rng.integers(3, 6)
    slant = c.rng.uniform(0.4, 0.7) * c.breadth / c.length
    tone = np.zeros_like(c.v)
    for offset in np.linspace(-0.5, 0.5, count) * (c.breadth - slant * c.length):
        start, end = c.length * (c.rng.uniform(-0.5, -0.3)), c.length * c.rng.uniform(0.3, 0.5)
        bend = c.rng.uniform(-4, 4) / c.length**2
        distance = c.v - offset - slant * c.a - bend * c.a**2
        tone += (_line(distance, 0.9) - 0.5 * _line(distance - 1.8, 0.8)) * _edge(c.a - start, 6) * _edge(end - c.a, 6)
    return tone


def corner_leak(c: Canvas) -> np.ndarray:
    """A strip on the profile's edge (v = -breadth / 2): a bare line along it and, inside, a seam broken into dashes."""
    inward = c.v + c.breadth / 2
    ends = _edge(c.length / 2 - np.abs(c.a), 2)
    bare = _edge(0.45 * c.breadth - inward, 1.5) * (inward > 0) * (0.8 + 0.2 * c.noise(1.5, 3))
    phase = c.rng.uniform(0, 2 * np.pi)
    dashes = np.clip(2.5 * np.sin(2 * np.pi * c.a / 7 + 1.5 * np.sin(c.a / 9) + phase) + 0.8, 0, 1)
    seam = np.clip(1.6 - np.abs(inward - 0.78 * c.breadth) / (0.1 * c.breadth), 0, 1) * dashes
    return (bare - seam) * ends


def orange_peel(c: Canvas) -> np.ndarray:
    """Coarse bumps lit from one side over a large part of the surface, like the skin of an orange."""
    height = c.noise(3.2)
    step = max(round(1.5 * c.unit), 1)
    slope = height - np.roll(height, (step, step), (0, 1))
    return 0.4 * slope * _edge(c.depth(6), 0.3)


def leakage(c: Canvas) -> np.ndarray:
    """A band of missing coating with a ragged border; brushed metal shows inside."""
    inside = c.depth(2.5) - 0.3 * c.noise(4, 6) - 0.1
    within = _edge(c.depth(6), 0.1)
    return _edge(inside, 0.12) * within * (0.8 + 0.2 * c.noise(1.2, 20))


def jet(c: Canvas) -> np.ndarray:
    """Streaks of spray that fan out from a nozzle at a = -length / 2 and fade at their far end."""
    reach = (c.a + c.length / 2) / c.length
    angle = c.v / np.maximum(reach * c.breadth / 2, 0.5)  # -1..1 within the fan
    streaks = c.rng.integers(4, 7)
    wave = np.cos(np.pi * streaks * angle + 0.6 * c.rng.standard_normal() + 0.8 * np.sin(5 * angle))
    return 0.8 * wave * _edge(1 - np.abs(angle), 0.2) * _edge(reach, 0.1) * (1.1 - 0.5 * reach) * _edge(1 - reach, 0.05)


def paint_bubble(c: Canvas) -> np.ndarray:
    """A small round blister: lit on one side, in shade on the other, with a glint."""
    x, y = 2 * c.a / c.length, 2 * c.v / c.breadth
    rim = _edge(1 - np.hypot(x, y), 0.2)
    return (-1.1 * (x + y) + 1.2 * _line(np.hypot(x + 0.35, y + 0.35), 0.3)) * rim


def crater(c: Canvas) -> np.ndarray:
    """A narrow row of pits along the profile, each with a raised lip on one side."""
    pitch = c.rng.uniform(7, 8.5)
    count = max(int(c.length / pitch), 2)
    tone = np.zeros_like(c.v)
    for place in (np.arange(count) + 0.5) / count - 0.5:
        radius = c.breadth * c.rng.uniform(0.2, 0.27)
        a = c.a - place * c.length - c.rng.uniform(-0.8, 0.8)
        v = c.v - c.rng.uniform(-0.14, 0.14) * c.breadth
        tone += _edge(radius - np.hypot(a, v), 1.0)
        tone -= 0.6 * _line(np.hypot(a, v) - radius - 0.8, 0.8) * (v > 0)
    return tone


def parti_color(c: Canvas) -> np.ndarray:
    """Large smooth mottling in two tones."""
    return 0.55 * np.tanh(1.8 * c.noise(13, 18)) * _edge(c.depth(6), 0.3)


def dirty_point(c: Canvas) -> np.ndarray:
    """A small irregular speck, solid and sharp, with crumbs around it."""
    angle = np.arctan2(c.v / c.breadth, c.a / c.length)
    radius = np.hypot(2 * c.a / c.length, 2 * c.v / c.breadth)
    phases = c.rng.uniform(0, 2 * np.pi, 3)
    border = 0.6 + sum(0.17 * np.sin(k * angle + phase) for k, phase in zip((2, 3, 5), phases, strict=True))
    tone = _edge(border - radius, 0.15)
    for around in c.rng.uniform(0, 2 * np.pi, 3):
        crumb = np.hypot(2 * c.a / c.length - 0.85 * np.cos(around), 2 * c.v / c.breadth - 0.85 * np.sin(around))
        tone = np.maximum(tone, _edge(0.18 - crumb, 0.1))
    return tone


@dataclass(frozen=True)
class Kind:
    """How a defect is drawn, and between which extents along and across the profile, in units."""

    draw: Callable[[Canvas], np.ndarray]
    length: tuple[float, float]
    breadth: tuple[float, float]


KINDS = {  # the paper's names in the paper's order: label k is the k-th
    "non-conductive": Kind(non_conductive, (60, 140), (26, 56)),
    "scratch": Kind(scratch, (45, 100), (16, 34)),
    "corner leak": Kind(corner_leak, (45, 75), (12, 17)),
    "orange peel": Kind(orange_peel, (70, 170), (45, 80)),
    "leakage": Kind(leakage, (55, 110), (18, 32)),
    "jet": Kind(jet, (45, 80), (28, 50)),
    "paint bubble": Kind(paint_bubble, (11, 19), (11, 19)),
    "crater": Kind(crater, (44, 64), (12, 15)),
    "parti-color": Kind(parti_color, (80, 180), (45, 80)),
    "dirty point": Kind(dirty_point, (12, 20), (12, 20)),
}
ALUMINIUM_CLASSES = tuple(KINDS)


def draw_defect(
    rng: np.random.Generator, image: np.ndarray, profile: Profile, kind: str, span: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Draw one defect into `image` (H, W, 3) float32, on `profile` between the columns `span`.

    Returns x1, y1, x2, y2: the whole pixels where it shows a quarter of its strength or more, at least two each way.
    """
    unit = unit_of(image.shape[:2])
    length, breadth = (rng.uniform(*extents) * unit for extents in (KINDS[kind].length, KINDS[kind].breadth))
    length, breadth = min(length, span[1] - span[0]), min(breadth, profile.height - 6 * unit)
    centre = span[0] + length / 2 + rng.random() * (span[1] - span[0] - length)
    mirror = rng.choice([-1.0, 1.0], 2)
    if kind == "corner leak":
        across = breadth / 2 if mirror[1] > 0 else profile.height - breadth / 2
    else:
        across = breadth / 2 + 3 * unit + rng.random() * (profile.height - breadth - 6 * unit)

    middle = profile.top + profile.slope * (centre - profile.middle) + across
    reach = breadth / 2 + abs(profile.slope) * length / 2 + 1
    top, bottom = max(int(middle - reach), 0), min(int(middle + reach) + 2, image.shape[0])
    left, right = max(int(centre - length / 2) - 1, 0), min(int(centre + length / 2) + 2, image.shape[1])
    x = np.arange(left, right, dtype=np.float32)[None, :] + 0.5
    v = profile.across(x, np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5)
    a = (x - np.float32(centre)) * np.float32(mirror[0] / unit)
    v = (v - np.float32(across)) * np.float32(mirror[1] / unit)
    canvas = Canvas(rng, a, v, length / unit, breadth / unit, unit)
    tone = KINDS[kind].draw(canvas).astype(np.float32)

    window = image[top:bottom, left:right]
    brightness = float(profile.coating.mean())
    lighter = rng.random() < 0.5
    strength = min(rng.uniform(0.2, 0.32), 0.8 * (1 - brightness if lighter else brightness))
    tint = 1 + rng.uniform(-0.15, 0.15, 3)
    window += tone[..., None] * np.float32((strength if lighter else -strength) * tint)

    seen = np.abs(tone) > 0.25 * np.abs(tone).max()
    (x1, x2), (y1, y2) = _extent(seen.any(0)), _extent(seen.any(1))
    return left + x1, top + y1, left + x2, top + y2


def _extent(seen: np.ndarray) -> tuple[int, int]:
    """From the first to behind the last True, two apart at least (VOC readers take one pixel for a degenerate box)."""
    places = np.flatnonzero(seen)
    start = min(places[0], len(seen) - 2)
    return start, max(places[-1] + 1, start + 2)
