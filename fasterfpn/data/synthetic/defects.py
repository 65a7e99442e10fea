"""The ten defects of a painted aluminium profile, painted into a scene.

Each function paints one kind on a `Patch`, the part of a profile that the defect fills: a from 0 to `length` along the
profile, b from 0 to `breadth` across it, both in reference pixels. What it paints reaches all four sides of its box.
Strength is drawn for each defect; that of scratches and dirty points goes down to what can hardly be seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fasterfpn.data.synthetic.layout import Layout
from fasterfpn.data.synthetic.patch import BARE, Area, Patch
from fasterfpn.data.synthetic.scene import Canvas, Colour, blend, draw_scene, edge, take_photograph


def _speckle(patch: Patch, area: Area, density: np.ndarray, strength: float) -> None:
    """Grains of bare metal that show through the paint, more of them where density (0..1) is high."""
    pixels, a, b = area
    grains = patch.noise(2.7, 3.2, pixels) + 0.35 * patch.noise(8, 10, pixels)
    alpha = edge(grains - 2.2 + 2.4 * density * patch.fading(a, 0.35), 2.2) * patch.within(a, b, 5)
    blend(pixels, np.float32(strength) * alpha, patch.bare)


def non_conductive(patch: Patch) -> None:
    """A face with clouds of fine bare grains."""
    area = patch.area()
    clouds = patch.noise(0.7 * patch.breadth + 60, 350, area[0])
    density = np.clip(patch.between(0.4, 0.65) + (0.22 - 0.2 * patch.clarity) * clouds, 0.25, 1)
    _speckle(patch, area, density, patch.strength(0.5, 0.95))


def leakage(patch: Patch) -> None:
    """A band with too little paint: bright dense grain all over, mostly with a rubbed line along one side."""
    pixels, a, b = patch.area()
    clouds = patch.noise(2 * patch.breadth, 500, pixels)
    blend(pixels, np.float32(patch.strength(0.1, 0.4)) * patch.within(a, b) * patch.fading(a, 0), patch.bare)
    _speckle(patch, (pixels, a, b), np.clip(0.75 + 0.15 * clouds, 0.5, 1), patch.strength(0.5, 0.9))
    if patch.rng.random() < 0.6:
        along = np.linspace(0, patch.length, 80)
        side = patch.rng.choice([0.06, 0.94]) * patch.breadth
        patch.stroke(along, np.full(80, side), 3, patch.bare, patch.between(0.3, 0.8) * patch.rng.uniform(0.3, 1, 80))


def corner_leak(patch: Patch) -> None:
    """A recess in shade with thin grain, and in its corner a crumbly row of bare and black crumbs."""
    pixels, a, b = patch.area()
    if patch.rng.random() < 0.35:
        b = np.float32(patch.breadth) - b
    pixels *= 1 - np.float32(patch.strength(0.25, 0.5)) * np.exp(-b.clip(0) / 14) * patch.within(a, b)
    clouds = patch.noise(2 * patch.breadth, 300, pixels)
    _speckle(
        patch, (pixels, a, b), np.clip(patch.between(0.25, 0.75) + 0.2 * clouds, 0.1, 0.9), patch.strength(0.4, 0.8)
    )
    start, end = 0.72 * patch.breadth, 0.93 * patch.breadth
    row = edge(b - start, 3) * edge(end - b, 3)
    row *= edge(patch.noise(500, 120, pixels) + patch.between(0.3, 2), 1.5) * np.float32(patch.strength(0.5, 0.95))
    crumbs = patch.noise(3.8, 4.5, pixels) + 0.5 * patch.noise(8, 12, pixels)
    blend(pixels, row * edge(crumbs + 0.5, 1.6), (0.86, 0.90, 0.88))
    blend(pixels, row * edge(-0.3 - crumbs, 1.2), (0.10, 0.11, 0.11))
    for place, strength in ((start - 4, 0.6), (patch.breadth - 2, 0.3)):  # lit borders of the corner
        line = np.exp(-(((b - np.float32(place)) / 2) ** 2))
        blend(pixels, np.float32(strength * patch.between(0.5, 1)) * line * patch.within(a, b), BARE)


def orange_peel(patch: Patch) -> None:
    """Coarse bumps lit from one side all over the profile, with pits in places."""
    pixels, a, b = patch.area()
    grain = patch.between(11, 20)
    height = patch.noise(grain, 1.2 * grain, pixels) + 0.5 * patch.noise(45, 60, pixels)
    step = max(round(5 * patch.canvas.scale[0]), 1)
    slope = height - np.roll(height, (step, step), (0, 1))
    patches = edge(patch.noise(300, 500, pixels) + 2, 3) * np.float32(0.7) + np.float32(0.3)
    slope *= np.float32(patch.strength(0.07, 0.2)) * patches * patch.within(a, b)
    pixels *= 1 + np.clip(slope, -0.5, 0.6)
    for _ in range(int(patch.breadth * patch.length / 2e4)):
        a1, b1 = patch.between(0, patch.length), patch.between(6, patch.breadth - 6)
        radius = patch.between(3, 8)
        patch.spot(a1 + 2, b1 + 2, (radius, 0.8 * radius), 1.3 * patch.coat, 0.4)
        patch.spot(a1, b1, (radius, 0.8 * radius), 0.5 * patch.coat, 0.7)


def jet(patch: Patch) -> None:
    """Wavy rims where sprayed paint has run: thin relief lines that wander along the profile."""
    pixels, a, b = patch.area()
    blend(pixels, np.float32(patch.between(0, 0.06)) * patch.within(a, b, 30), 0.9 * patch.coat)
    count, points = patch.rng.integers(1, 4), max(int(patch.length / 25), 12)
    along = np.linspace(0, 1, points)
    paths = np.array([_wander(patch.rng, points) + patch.between(-1, 1) for _ in range(count)])
    paths = (paths - paths.min()) / np.ptp(paths)
    far = edge(
        np.abs(along - patch.high_end), 0.15
    )  # the first starts in the highest corner, the last ends in the lowest
    paths[0] *= far
    paths[-1] = 1 - (1 - paths[-1]) * far[::-1]
    strength, tone = (
        patch.graded(0.18, 0.55),
        0.62 - 0.3 * patch.clarity if patch.coat.mean() > 0.35 else 1.5 + patch.clarity,
    )
    for path in paths:
        alpha = strength * np.clip(_wander(patch.rng, points) * 0.4 + 0.8, 0.4, 1)
        for offset, colour in ((0, tone), (-3.5 - 4 * patch.clarity, 1.25 + 0.4 * patch.clarity)):
            b = 4 + 4 * patch.clarity + path * (patch.breadth - 7 - 4 * patch.clarity) + offset
            width, colour = 3 + 5 * patch.clarity, np.minimum(colour * patch.coat, 1)
            patch.stroke(along * patch.length, b, width, colour, alpha)


def _wander(rng: np.random.Generator, points: int) -> np.ndarray:
    """A smooth random path (points,), deviation about 1."""
    coarse = rng.standard_normal(max(points // 7, 3))
    fine = rng.standard_normal(max(points // 3, 4))
    at = np.linspace(0, 1, points)
    return sum(
        weight * np.interp(at, np.linspace(0, 1, len(knots)), knots) for weight, knots in ((1, coarse), (0.2, fine))
    )


def _along_a_line(patch: Patch, largest: float, pitch: float) -> list[tuple[float, float, float]]:
    """(a, b, radius) of many small things side by side, as far as the highest and the lowest corner."""
    long, thick = patch.length, patch.breadth
    first, last = (0, thick) if patch.high_end == 0 else (thick, 0)
    places = [(0.0, first), (0.0, thick / 2), (long, thick / 2), (long, last)]
    count = int(long / pitch)
    spread = np.clip(patch.rng.normal(0.5, 0.25, count), 0, 1) * thick
    places += zip((np.arange(count) + patch.rng.random(count)) * pitch, spread, strict=True)
    radii = largest * patch.rng.uniform(0.45, 1, len(places))
    radii[:4] = largest
    return [(np.clip(a, r, long - r), np.clip(b, r, thick - r), r) for (a, b), r in zip(places, radii, strict=True)]


def paint_bubble(patch: Patch) -> None:
    """A blister, or a string of them: lit above, dark below."""
    long, thick = patch.length, patch.breadth
    blisters = [(long / 2, thick / 2, 1.0)]
    wide, high = long / 2, thick / 2
    if long > 2.2 * thick:
        wide = high = min(thick / 2, 22)
        blisters = [(a, b, r / wide) for a, b, r in _along_a_line(patch, wide, 1.9 * wide)]
    strength = patch.strength(0.25, 0.65)
    for a, b, r in blisters:
        patch.spot(a, b, (r * wide, r * high), 0.5 * patch.coat, strength, 0.08)
        inner, glint = (0.8 * r * wide, 0.72 * r * high), (0.35 * r * wide, 0.25 * r * high)
        patch.spot(a - 0.12 * r * wide, b - 0.2 * r * high, inner, 1.05 * patch.coat, strength, 0.08)
        patch.spot(a - 0.3 * r * wide, b - 0.35 * r * high, glint, (1, 1, 1), 0.6 * strength)


def crater(patch: Patch) -> None:
    """A row of small pits from end to end along a dark seam; each has a lit lip."""
    thick, strength = patch.breadth, patch.strength(0.45, 0.9)
    along = np.linspace(0, patch.length, 60)
    patch.stroke(along, np.full(60, thick / 2), 2, 0.45 * patch.coat, 0.5 * strength * patch.rng.uniform(0.4, 1, 60))
    for a, b, r in _along_a_line(patch, min(0.42 * thick, 13), patch.between(22, 60)):
        patch.spot(a, b + 0.35 * r, (r, 0.7 * r), np.minimum(1.5 * patch.coat, 1), 0.7 * strength)
        patch.spot(a, b, (r, 0.7 * r), 0.3 * patch.coat, strength, 0.15)


def parti_color(patch: Patch) -> None:
    """A face of another tint than its neighbours, uneven along the profile."""
    pixels, a, b = patch.area()
    clouds = edge(patch.noise(2 * patch.breadth, patch.between(150, 500), pixels) + 1.2, 2.4)
    brightness = patch.between(0.75, 0.9) - 0.35 * patch.clarity
    tint = patch.coat * brightness * (1 + patch.rng.uniform(-1, 1) * np.float32([0.08, 0, -0.14]))
    low = patch.strength(0.2, 0.5)
    blend(pixels, (np.float32(low) + np.float32(0.4) * clouds) * patch.within(a, b, 6), tint)


def _tone(patch: Patch) -> Colour:
    """Dirt: dark, or pale on a dark coat."""
    return (0.12, 0.11, 0.10) if patch.coat.mean() > 0.45 else (0.85, 0.84, 0.8)


def dirty_point(patch: Patch) -> None:
    """Specks of dirt: one with crumbs around it, or many, scattered over a face."""
    long, thick, strength = patch.length, patch.breadth, patch.graded(0.1, 0.9)
    if max(long, thick) < 130:
        size = 0.3 * long, 0.3 * thick
        patch.spot(patch.between(0.4, 0.6) * long, patch.between(0.4, 0.6) * thick, size, _tone(patch), strength, 0.5)
        few, largest = 3, max(0.1 * min(long, thick), 4)
    else:
        area_of_one = np.exp(patch.between(np.log(2500), np.log(20000)))
        few, largest = int(np.clip(long * thick / area_of_one, 4, 160)), patch.between(4, 11)
    top, (left, right) = abs(patch.high_end - patch.between(0, 0.12)), patch.rng.uniform(0.2, 0.8, 2)
    ends = [(0, left), (1, right), (top, 0), (1 - top, 1)]
    for nth, (share_a, share_b) in enumerate([*ends, *patch.rng.random((few, 2))]):
        radius = patch.rng.uniform(0.8 if nth < 4 else 0.5, 1, 2) * largest
        a, b = radius[0] + share_a * (long - 2 * radius[0]), radius[1] + share_b * (thick - 2 * radius[1])
        patch.spot(a, b, tuple(radius), _tone(patch), strength * patch.between(0.6 if nth > 3 else 0.9, 1), 0.4)


def scratch(patch: Patch) -> None:
    """Rubbed lines, nearly parallel, one of them from corner to corner; on a long strip also rows of short ones."""
    long, thick, strength = patch.length, patch.breadth, patch.graded(0.09, 0.8)
    colour = (0.93, 0.93, 0.92) if patch.coat.mean() < 0.7 else 0.6 * patch.coat
    flip, bend = patch.high_end == 1, patch.between(-0.12, 0.12)
    along = np.linspace(0, 1, max(int(np.hypot(long, thick) / 18), 12))
    spans = [
        (0, 1, 0.0),
        *((*np.sort(patch.rng.random(2)), patch.between(-0.4, 0.4)) for _ in range(patch.rng.integers(2, 8))),
    ]
    if long > 6 * thick:
        starts = patch.rng.uniform(0, 0.97, int(long / patch.between(15, 60)))
        spans += [(start, start + 0.02, patch.rng.normal(0.5, 0.25) - start) for start in starts]
    for start, end, shift in spans:
        whole = (start, end) == (0, 1)
        a = start + (end - start) * (along if end - start > 0.05 else along[:: len(along) - 1])
        b = a + bend * np.sin(np.pi * a) + shift + 0.01 * _wander(patch.rng, len(a)) * (not whole)
        broken = np.clip(patch.rng.normal(0.6, 0.5, len(a)), 0.3 if whole else 0, 1) * (np.abs(b - 0.5) < 0.5 + 1e-6)
        broken[:: len(a) - 1] = 0.8 if whole else broken[:: len(a) - 1]
        width, b = patch.between(1.2, 3.5) + 3 * patch.clarity, 1 - b if flip else b
        patch.stroke(a * long, b * thick, width, colour, strength * broken)
        patch.stroke(a * long, b * thick + width, width, 0.5 * patch.coat, 0.5 * strength * broken)


KINDS: dict[str, Callable[[Patch], None]] = {
    "non-conductive": non_conductive,
    "scratch": scratch,
    "corner leak": corner_leak,
    "orange peel": orange_peel,
    "leakage": leakage,
    "jet": jet,
    "paint bubble": paint_bubble,
    "crater": crater,
    "parti-color": parti_color,
    "dirty point": dirty_point,
}


def photograph(layout: Layout, size: tuple[int, int]) -> bytes:
    """A layout as a JPEG of `size` (H, W). Scene, camera and each defect draw from generators of their own."""
    canvas = paint(layout, size)
    return take_photograph(np.random.default_rng([layout.seed, layout.index, 1]), canvas)


def paint(layout: Layout, size: tuple[int, int]) -> Canvas:
    """The scene with its defects, before the camera."""
    canvas = draw_scene(np.random.default_rng([layout.seed, layout.index, 2]), layout, size)
    for nth, defect in enumerate(layout.defects):
        rng = np.random.default_rng([layout.seed, layout.index, 3, nth])
        KINDS[defect.kind](Patch(rng, canvas, layout.profiles[0], defect, layout.clarity))
    return canvas
