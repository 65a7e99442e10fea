"""Light, table, profiles and camera of a synthetic photograph, and the brushes that defects are painted with.

A canvas is float32 (3, H, W), RGB, 0..1. Every length and coordinate is in reference pixels, those of a 2560x1920
image, and fields of bumps are drawn on a grid of their own, so that a small image shows the scene of the large one;
what is finer than a pixel is painted fainter instead of thinner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from fasterfpn.data.synthetic.layout import COATS, HEIGHT, WIDTH, Layout, Profile

TABLES = ((0.04, 0.80, 0.78), (0.10, 0.76, 0.72), (0.05, 0.52, 0.48), (0.42, 0.82, 0.72), (0.17, 0.44, 0.34))
WORN, DUST, DARK = (0.50, 0.62, 0.60), (0.80, 0.95, 0.93), (0.10, 0.10, 0.10)
SECTION_STEP = 0.5  # of the profile's cross-section
BEYOND = 450  # how far the cross-section is continued on either side: the shadow on the table
Colour = Sequence[float]
Pair = tuple[float, float]


def noise(rng: np.random.Generator, extent: Pair, grain: Pair, shape: tuple[int, int]) -> np.ndarray:
    """Bumps of `grain` (across, along) over an area of `extent`, as `shape` pixels: mean 0, deviation about 1.

    They come from a child of `rng`, so that what is drawn next does not depend on the number of pixels.
    """
    wanted = [max(int(side / step) + 2, 3) for side, step in zip(extent, grain, strict=True)]
    cells = [min(number, pixels) for number, pixels in zip(wanted, shape, strict=True)]  # finer than a pixel: averaged
    fainter = (cells[0] * cells[1] / (wanted[0] * wanted[1])) ** 0.5
    field = rng.spawn(1)[0].standard_normal(cells, dtype=np.float32) * np.float32(1.3 * fainter)
    if tuple(cells) == shape:
        return field
    return np.array(Image.fromarray(field).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def edge(distance: np.ndarray, width: float) -> np.ndarray:
    """0 outside (distance < 0), 1 from `width` inside."""
    return np.clip(distance / np.float32(width), 0, 1)


@dataclass(frozen=True)
class Canvas:
    """The picture in the making."""

    image: np.ndarray
    frame: Pair = (HEIGHT, WIDTH)
    """What it shows, (height, width) in reference pixels from the origin."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[1:]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels a reference pixel, along y and x."""
        return self.size[0] / self.frame[0], self.size[1] / self.frame[1]

    def window(self, x1: float, y1: float, x2: float, y2: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pixels (3, h, w) of an area, a view, with the x (1, w) and y (h, 1) of their centres."""
        (sy, sx), (height, width) = self.scale, self.size
        left, right = (min(max(int(side), 0), width) for side in (np.floor(x1 * sx), np.ceil(x2 * sx)))
        top, bottom = (min(max(int(side), 0), height) for side in (np.floor(y1 * sy), np.ceil(y2 * sy)))
        x = (np.arange(left, right, dtype=np.float32) + 0.5) / np.float32(sx)
        y = (np.arange(top, bottom, dtype=np.float32) + 0.5) / np.float32(sy)
        return self.image[:, top:bottom, left:right], x[None], y[:, None]

    def spot(
        self, x: float, y: float, radius: Pair, colour: Colour, alpha: float, ragged: float = 0, phase: float = 0
    ) -> None:
        """An ellipse of half axes `radius` (along x and y) with a soft border that wavers by the share `ragged`."""
        finest = 0.6 / self.scale[1], 0.6 / self.scale[0]
        shown = max(radius[0], finest[0]), max(radius[1], finest[1])
        alpha = alpha * radius[0] * radius[1] / (shown[0] * shown[1])
        reach = (1.2 + ragged) * shown[0] + finest[0], (1.2 + ragged) * shown[1] + finest[1]
        if not (-reach[0] < x < self.frame[1] + reach[0] and -reach[1] < y < self.frame[0] + reach[1]):
            return
        pixels, px, py = self.window(x - reach[0], y - reach[1], x + reach[0], y + reach[1])
        u, v = (px - np.float32(x)) / np.float32(shown[0]), (py - np.float32(y)) / np.float32(shown[1])
        distance = np.hypot(u, v)
        if ragged:
            angle = np.arctan2(v, u)
            waves = sum(np.sin(k * (angle + phase * k)) / k for k in (2, 3, 5))
            distance = distance / (1 + ragged * waves)
        blur = max(0.25, finest[0] / shown[0])
        blend(pixels, np.float32(alpha) * edge(1 + blur / 2 - distance, blur), colour)

    def stroke(self, x: np.ndarray, y: np.ndarray, width: float, colour: Colour, alpha: np.ndarray | float) -> None:
        """A line through the points (x, y), in order along its longer side; alpha may change from point to point."""
        (sy, sx), image = self.scale, self.image
        if np.ptp(y) * sy > np.ptp(x) * sx:
            x, y, sx, sy, image = y, x, sy, sx, image.transpose(0, 2, 1)
        if x[0] > x[-1]:
            x, y, alpha = x[::-1], y[::-1], alpha[::-1] if np.ndim(alpha) else alpha
        columns = np.arange(max(int(x[0] * sx), 0), min(int(np.ceil(x[-1] * sx)), image.shape[2]))
        centres = (columns + 0.5) / sx
        middle = np.interp(centres, x, y) * sy - 0.5
        alpha = np.interp(centres, x, alpha) if np.ndim(alpha) else np.full(len(columns), alpha)
        shown = max(width * sy, 0.7)
        offsets = np.arange(-int(2 * shown) - 1, int(2 * shown) + 3)[:, None]
        rows = np.floor(middle).astype(int) + offsets
        inside = (rows >= 0) & (rows < image.shape[1])
        cover = (np.exp(-(((rows - middle) / shown) ** 2)) * alpha * (width * sy / shown))[inside].astype(np.float32)
        rows, columns = rows[inside], np.broadcast_to(columns, inside.shape)[inside]
        pixels = image[:, rows, columns]
        image[:, rows, columns] = pixels + cover * (np.float32(colour)[:, None] - pixels)


def blend(pixels: np.ndarray, alpha: np.ndarray, colour: Colour) -> None:
    """pixels (3, h, w) become `colour` where alpha (h, w) is 1, and stay where it is 0."""
    for channel, value in zip(pixels, colour, strict=True):
        channel += alpha * (np.float32(value) - channel)


def draw_scene(rng: np.random.Generator, layout: Layout, size: tuple[int, int]) -> Canvas:
    """Table and profiles, sound but for marks that are no defects."""
    canvas = _table(rng, layout.frame, size)
    for profile in layout.profiles[::-1]:
        draw_profile(rng, canvas, profile)
    return canvas


def _table(rng: np.random.Generator, frame: Pair, size: tuple[int, int]) -> Canvas:
    """Teal, unevenly lit, leathery, with a glossy patch, worn places, dust and scratches."""
    colour = np.float32(TABLES[rng.choice(len(TABLES), p=(0.34, 0.24, 0.2, 0.12, 0.1))])
    colour = colour * np.float32(rng.uniform(0.85, 1.12)) * rng.uniform(0.95, 1.05, 3).astype(np.float32)
    y, x = np.linspace(0, 1, 120, dtype=np.float32)[:, None], np.linspace(0, 1, 160, dtype=np.float32)[None]
    light = 1 + rng.uniform(-0.15, 0.15) * (x - 0.5) + rng.uniform(-0.2, 0.1) * (y - 0.5)
    gloss_x, gloss_y = rng.normal(0.7, 0.25), rng.normal(0.1, 0.2)
    gloss = np.exp(-(((x - gloss_x) / rng.uniform(0.12, 0.35)) ** 2) - ((y - gloss_y) / rng.uniform(0.3, 0.8)) ** 2)
    coarse = colour[:, None, None] * light
    blend(coarse, np.float32(rng.uniform(0, 0.55)) * gloss, (0.93, 0.98, 0.97))
    resized = [Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC) for plane in coarse]
    image = np.stack([np.asarray(plane) for plane in resized])

    canvas = Canvas(image, frame)
    leather = noise(rng, frame, (4.5, 6), size)
    leather *= np.float32(rng.uniform(0.006, 0.02))
    for channel in image:
        channel += leather
    for _ in range(rng.integers(0, 4)):  # worn places: streaks along x in a patch, rubbed to a grey ground
        x1, y1, wide, high = (
            rng.uniform(-300, 2200),
            rng.uniform(-100, 1500),
            rng.uniform(300, 1300),
            rng.uniform(150, 700),
        )
        pixels, px, py = canvas.window(x1, y1, x1 + wide, y1 + high)
        if pixels.size:
            round_off = 1 - ((px - x1) / wide * 2 - 1) ** 2 - ((py - y1) / high * 2 - 1) ** 2
            streaks = sum(noise(rng, (high, wide), grain, pixels.shape[1:]) for grain in ((6, 80), (70, 250), (4, 6)))
            blend(pixels, np.float32(0.55) * edge(streaks - 2.2 + round_off, 3) * edge(round_off, 0.5), WORN)
    for _ in range(rng.integers(1, 5)):  # scratches
        length, x1, y1 = rng.uniform(200, 1400), rng.uniform(-100, 2000), rng.uniform(0, HEIGHT)
        x = np.linspace(x1, x1 + length, 40)
        y = y1 + (x - x1) * rng.uniform(-0.3, 0.3) + rng.uniform(-20, 20) * np.sin(3 * (x - x1) / length)
        canvas.stroke(x, y, rng.uniform(1, 2.5), DUST, rng.uniform(0, 0.4) * rng.random(40))
    for _ in range(rng.integers(20, 90)):  # dust and crumbs
        radius = rng.uniform(1, 4, 2)
        colour = DUST if rng.random() < 0.85 else DARK
        canvas.spot(rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), radius, colour, rng.uniform(0.2, 0.9))
    return canvas


def _section(rng: np.random.Generator, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Brightness of the paint across a profile, and how much light reaches the table beside it, every SECTION_STEP."""
    v = np.arange(-BEYOND, profile.height + BEYOND, SECTION_STEP, dtype=np.float32)
    shade = np.ones_like(v)
    for start, end in zip((0, *sorted(profile.edges)), (*sorted(profile.edges), profile.height), strict=True):
        face = (v >= start) & (v < end)
        level = rng.uniform(0.78, 1.12) if end - start < 60 else rng.uniform(0.9, 1.08)
        shade[face] = level + rng.uniform(-0.06, 0.06) * ((v[face] - start) / max(end - start, 1) - 0.5)
    for place in (*profile.edges, *profile.grooves):
        off, sort = v - np.float32(place), rng.random()
        if place in profile.grooves or sort < 0.4:  # a joint: dark, with a lit lip
            shade *= 1 - np.float32(rng.uniform(0.3, 0.75)) * np.exp(-((off / rng.uniform(2.5, 7)) ** 2))
            shade += np.float32(rng.uniform(0.05, 0.25)) * np.exp(-(((off - 9) / 3) ** 2))
        else:  # a step: lit edge above, shadow that fades below, or the other way round
            side = 1 if sort < 0.8 else -1
            shade += np.float32(rng.uniform(0.1, 0.5)) * np.exp(-(((side * off + 3) / rng.uniform(1.5, 3)) ** 2))
            fades = np.exp(-np.maximum(side * off, 0) / rng.uniform(6, 30)) * (side * off > 0)
            shade *= 1 - np.float32(rng.uniform(0.2, 0.55)) * fades
    shade += np.float32(rng.uniform(0.05, 0.35)) * np.exp(-((v / 4) ** 2))
    shade *= 1 - np.float32(rng.uniform(0.3, 0.7)) * np.exp(-(profile.height - v).clip(0) / rng.uniform(3, 15))
    below, above = (v - np.float32(profile.height)).clip(0), (-v).clip(0)
    depth, darkness = rng.uniform(60, 380), rng.uniform(0.4, 0.78)
    lit = 1 - np.float32(darkness) * edge(depth - below, rng.uniform(20, 60)) * (
        1 - np.float32(0.25) * below / depth
    ) * (v > 0)
    lit *= 1 - np.float32(rng.uniform(0.2, 0.6)) * np.exp(-above / rng.uniform(4, 20)) * (v < 0)
    return np.clip(shade, 0.12, 1.7), lit


def draw_profile(rng: np.random.Generator, canvas: Canvas, profile: Profile) -> None:
    """The shadow on the table, the painted faces with their texture, glints on edges, and a mark that is no defect."""
    ends = np.array([0.0, WIDTH])
    pixels, x, y = canvas.window(
        0, profile.y(ends, -60).min(), WIDTH, profile.y(ends, profile.height + BEYOND - 20).max()
    )
    if not pixels.size:
        return
    across = profile.across(x, y).astype(np.float32)
    shade, lit = _section(rng, profile)
    v = np.arange(-BEYOND, profile.height + BEYOND, SECTION_STEP, dtype=np.float32)
    pixel = max(1 / canvas.scale[0], 1.0)  # a pixel sees the mean of what it covers
    cover = edge(v + pixel / 2, pixel) * edge(profile.height - v + pixel / 2, pixel)
    width = max(round(pixel / SECTION_STEP), 1)
    paint, keep = (_running_mean(values, width) for values in (shade * cover, lit * (1 - cover)))
    places = ((across + np.float32(BEYOND)) * np.float32(1 / SECTION_STEP)).astype(np.int32)
    np.clip(places, 0, len(v) - 1, out=places)
    paint, keep = paint[places], keep[places]
    glow_x, glow = rng.uniform(0, WIDTH), rng.uniform(0, 0.2)
    along = (
        1 + glow * np.exp(-(((x - glow_x) / rng.uniform(300, 900)) ** 2)) + rng.uniform(-0.1, 0.1) * (x / WIDTH - 0.5)
    )
    paint *= along.astype(np.float32)
    grain = noise(rng, (profile.height + 500, canvas.frame[1]), (3.5, 4), paint.shape)
    paint *= (
        1
        + np.float32(rng.uniform(0.01, 0.035)) * grain
        + np.float32(max(rng.uniform(-0.15, 0.15), 0)) * edge(grain - 1.8, 1)
    )
    colour = np.float32(COATS[profile.coat]) * np.float32(rng.uniform(0.86, 1.06)) * rng.uniform(0.985, 1.015, 3)
    for channel, value in zip(pixels, colour, strict=True):
        channel *= keep
        channel += np.float32(value) * paint

    x = np.linspace(0, WIDTH, 60)
    for place in (0.0, *profile.edges):  # glints
        if rng.random() < 0.4:
            strength = rng.uniform(0.1, 0.6) * np.clip(rng.normal(0, 1, 60), 0, 1) * (rng.random() < 0.5 or 0.4)
            canvas.stroke(x, profile.y(x, place - 3), rng.uniform(1, 2.5), np.minimum(1.5 * colour + 0.1, 1), strength)
    if rng.random() < 0.3:  # a hair
        x1, v1, turn = rng.uniform(100, WIDTH - 100), rng.uniform(0.1, 0.9) * profile.height, rng.uniform(0, 6.3)
        angle = np.linspace(turn, turn + 1.6, 12)
        hair = x1 + 25 * np.cos(angle), profile.y(x1, v1) + 25 * np.sin(angle)
        canvas.stroke(*hair, 1.5, DUST, rng.uniform(0.2, 0.7))
    if rng.random() < 0.25:  # a smear of a hand
        x1, v1 = rng.uniform(0, WIDTH), rng.uniform(0.2, 0.8) * profile.height
        canvas.spot(x1, profile.y(x1, v1), rng.uniform(40, 160, 2), 1.2 * colour, rng.uniform(0.03, 0.1), 0.3)


def _running_mean(values: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(values, (width // 2, width - 1 - width // 2), "edge")
    return np.convolve(padded, np.full(width, 1 / width), "valid").astype(np.float32)


def take_photograph(rng: np.random.Generator, canvas: Canvas) -> bytes:
    """The canvas as a phone saves it: exposure, colour cast, a little blur, sensor noise, JPEG. Uses the canvas up."""
    height, width = canvas.size
    exposure = rng.uniform(0.9, 1.08) * rng.uniform(0.985, 1.015, 3)
    pixels = np.empty((height, width, 3), np.uint8)
    for channel, plane in enumerate(canvas.image):
        plane *= np.float32(255 * exposure[channel])
        pixels[..., channel] = np.clip(plane, 0, 255, out=plane)
    picture = Image.fromarray(pixels).filter(ImageFilter.BoxBlur(rng.uniform(0.2, 0.9) * canvas.scale[0]))
    grain = noise(rng, canvas.frame, (1.8, 1.8), canvas.size)
    grain = Image.fromarray((grain * np.float32(rng.uniform(1.5, 4)) + 128).clip(0, 255).astype(np.uint8))
    picture = ImageChops.add(picture, Image.merge("RGB", [grain] * 3), 1, -128)
    file = BytesIO()
    picture.save(file, "JPEG", quality=round(95 - 15 * min(canvas.scale[0], 1)))  # 80 at the originals' size, as theirs
    return file.getvalue()
