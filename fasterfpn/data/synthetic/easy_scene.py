"""The scene of a synthetic photograph: a teal work table and painted aluminium profiles lying across it.

H, W image height and width in pixels; images are float32 (H, W, 3), RGB, 0..1. One unit `u` is a pixel of a 320x240
image: every length below is given in units, so a scene looks the same at any size. A profile has its own frame: x along
it (the image's x) and v across it, 0 at its upper edge, its height at the lower one; v follows the profile's tilt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

TABLE = (0.12, 0.55, 0.50)  # teal
COATINGS = (  # what the profiles are painted with; each is varied in brightness and a little in hue
    (0.31, 0.27, 0.25),  # dark brown
    (0.38, 0.38, 0.40),  # dark grey
    (0.55, 0.55, 0.57),  # grey
    (0.72, 0.73, 0.73),  # white
    (0.69, 0.63, 0.53),  # beige
)


@dataclass(frozen=True)
class Profile:
    """Where a profile lies: its upper edge crosses the image's middle column at y = top; lengths in pixels."""

    top: float
    height: float
    slope: float  # dy/dx of its edges
    middle: float  # x of the middle column
    coating: np.ndarray  # (3,) RGB

    def across(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """v, the distance below the upper edge, of points x, y in pixels (broadcast), float32."""
        return (y - self.top - self.slope * (x - self.middle)).astype(np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: tuple[float, float]) -> np.ndarray:
    """Noise of mean 0 and standard deviation about 1 whose bumps measure `grain` = (dy, dx) pixels, (H, W) float32."""
    coarse = tuple(max(2, round(side / max(step, 1.0)) + 1) for side, step in zip(shape, grain, strict=True))
    field = rng.standard_normal(coarse, dtype=np.float32)
    field = np.asarray(Image.fromarray(field).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def unit_of(size: tuple[int, int]) -> float:
    """Pixels per unit in an image of `size` (H, W): 1 at 240x320."""
    return min(size[0] / 240, size[1] / 320)


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, list[Profile]]:
    """A table with one or two profiles without defects: image (H, W, 3) float32, neither clipped nor noisy yet."""
    image = _table(rng, size)
    profiles = _lay_profiles(rng, size)
    for profile in profiles:
        _draw_profile(rng, image, profile)
    return image, profiles


def _table(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    u = unit_of(size)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    slope_y, slope_x = rng.uniform(-0.15, 0.15, 2)
    light = 1 + np.float32(slope_y) * y + np.float32(slope_x) * x
    # Wear: long faint streaks where other profiles were dragged across, seen only in patches.
    streaks = smooth_noise(rng, size, (1.5 * u, 40 * u))
    patches = smooth_noise(rng, size, (60 * u, 80 * u))
    light += np.float32(0.03) * streaks * np.clip(patches, 0, 1.5)
    colour = np.float32(TABLE) * np.float32(rng.uniform(0.75, 1.25)) * rng.uniform(0.93, 1.07, 3).astype(np.float32)
    return light[..., None] * colour


def _lay_profiles(rng: np.random.Generator, size: tuple[int, int]) -> list[Profile]:
    height, width = size
    u = unit_of(size)
    count = 1 if rng.random() < 0.6 else 2
    slope = rng.uniform(-1, 1) * min(0.045, 0.06 * height / width)  # a long image still holds all of a profile
    heights = rng.uniform(100, 150, count) * u if count == 1 else rng.uniform(78, 92, count) * u
    gap = rng.uniform(10, 18) * u * (count - 1)
    sway = abs(slope) * width / 2 + 4 * u  # how far an end of a profile rises or sinks
    slack = max(height - heights.sum() - gap - 2 * sway, 0.0)
    top = sway + rng.uniform(0, slack)
    profiles = []
    for profile_height in heights:
        coating = np.float32(COATINGS[rng.integers(len(COATINGS))]) * rng.uniform(0.88, 1.1)
        coating = (coating * rng.uniform(0.96, 1.04, 3)).astype(np.float32)
        profiles.append(Profile(top, float(profile_height), slope, width / 2, coating))
        top += profile_height + gap
    return profiles


def _cross_section(rng: np.random.Generator, length: int, u: float) -> np.ndarray:
    """Brightness across an extruded profile, (length,) float32, a sample every quarter pixel.

    Flat faces that meet the light at different angles, a groove (dark line, light lip) between some of them, a light
    bevel along the upper edge and a dark one along the lower.
    """
    v = np.arange(length, dtype=np.float32) / (4 * u)
    extent = length / (4 * u)
    shade = np.full(length, rng.uniform(0.94, 1.06), np.float32)
    shade += np.float32(rng.uniform(-0.08, 0.08)) * (v / extent - 0.5)
    for joint in rng.uniform(0.12, 0.88, rng.integers(1, 4)) * extent:
        shade[v > joint] *= rng.uniform(0.86, 1.14)
        if rng.random() < 0.7:
            shade -= np.float32(rng.uniform(0.15, 0.4)) * np.exp(-(((v - joint) / 0.9) ** 2))
            shade += np.float32(rng.uniform(0.05, 0.2)) * np.exp(-(((v - joint - 2.2) / 0.9) ** 2))
    shade += np.float32(0.15) * np.exp(-v / 1.5) - np.float32(0.25) * np.exp(-(extent - v) / 2)
    return np.clip(shade, 0.45, 1.35)


def _draw_profile(rng: np.random.Generator, image: np.ndarray, profile: Profile) -> None:
    height, width = image.shape[:2]
    u = unit_of((height, width))
    sway = abs(profile.slope) * width / 2
    first = max(int(profile.top - sway) - 2, 0)
    last = min(int(profile.top + profile.height + sway + 30 * u) + 2, height)
    rows = image[first:last]
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    v = profile.across(x, np.arange(first, last, dtype=np.float32)[:, None] + 0.5)

    shadow = np.where(v > 0, np.exp(-np.maximum(v - profile.height, 0) / (9 * u)), 0)
    rows *= (1 - np.float32(0.6) * shadow)[..., None]

    section = _cross_section(rng, max(int(4 * profile.height), 8), u)
    shade = section[np.clip((4 * v).astype(np.int32), 0, len(section) - 1)]
    shade = shade * (1 + np.float32(rng.uniform(-0.1, 0.1)) * (x / width - np.float32(0.5)))
    shade *= 1 + np.float32(0.012) * smooth_noise(rng, v.shape, (u, 6 * u))  # the grain of extrusion, along x
    cover = (np.clip(v + 0.5, 0, 1) * np.clip(profile.height - v + 0.5, 0, 1))[..., None]
    rows += cover * (shade[..., None] * profile.coating - rows)
