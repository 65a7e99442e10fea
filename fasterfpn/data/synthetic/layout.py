"""What a synthetic photograph shows and where: kinds of defect, the sizes of their boxes, profiles that hold them.

No pixel is drawn here. Lengths are in reference pixels, those of a 2560x1920 image, whatever the size of the image. A
profile has its own frame: x along it (the image's x) and v across it, 0 at its upper edge; its edges and grooves are
the lines of constant v, tilted and a little fanned out. An image depends on seed and index alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np

from fasterfpn.data.synthetic.boxes import (
    BOXES_ALONE,
    BOXES_BESIDE_ANOTHER_KIND,
    IMAGES_OF_ONE,
    IMAGES_OF_TWO,
    ONE_BOX,
    SIZES,
    share_alone,
)
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES

WIDTH, HEIGHT = 2560, 1920
MIDDLE = WIDTH / 2
DECKS = {  # how many images of each kind, and of each pair of kinds, come in a shuffled deck before the next deck
    "paper": IMAGES_OF_ONE | IMAGES_OF_TWO,
    "balanced": {kind: {"scratch": 4, "jet": 4, "paint bubble": 3, "dirty point": 3}.get(kind, 5) for kind in SIZES}
    | dict.fromkeys(IMAGES_OF_TWO, 1),
}
EVENLY = np.array([0.8191725134, 0.6710436067, 0.5497004779])  # powers of the root of x^3 (1 + x) = 1
SCATTERED = ("scratch", "jet", "dirty point")  # kinds that lie anywhere on a face; the others fill one
COATS = {  # RGB of the paint in white light
    "brown": (0.36, 0.33, 0.31),
    "dark grey": (0.42, 0.42, 0.43),
    "grey": (0.55, 0.56, 0.57),
    "blue grey": (0.46, 0.50, 0.55),
    "olive": (0.55, 0.54, 0.46),
    "beige": (0.80, 0.74, 0.64),
    "cream": (0.90, 0.87, 0.81),
    "silver": (0.74, 0.74, 0.75),
    "lilac": (0.76, 0.78, 0.83),
    "white": (0.89, 0.90, 0.91),
}
USUAL_COATS = {  # on which the kind is mostly found
    "non-conductive": ("brown", "dark grey", "grey"),
    "scratch": ("blue grey", "dark grey", "grey"),
    "corner leak": ("brown", "olive", "dark grey"),
    "orange peel": ("dark grey", "grey", "brown"),
    "leakage": ("grey", "silver", "brown"),
    "jet": ("silver", "white", "grey"),
    "paint bubble": ("cream", "white", "silver"),
    "crater": ("olive", "grey", "beige"),
    "parti-color": ("beige", "cream", "silver"),
    "dirty point": ("white", "lilac", "silver"),
}


@dataclass(frozen=True)
class Profile:
    """An extruded profile: y = top + tilt (x - 1280) + v (1 + fan (x - 1280) / 2560) for v between 0 and `height`."""

    top: float
    height: float
    tilt: float
    fan: float
    edges: tuple[float, ...]  # v at which two faces meet
    grooves: tuple[float, ...]  # v of thin dark joints within a face
    coat: str

    def y(self, x: np.ndarray | float, v: np.ndarray | float) -> np.ndarray | float:
        """Where (x, v) is in the image."""
        return self.top + self.tilt * (x - MIDDLE) + v * self.stretch(x)

    def across(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray | float:
        """v of the image's point (x, y): the inverse of `y`."""
        return (y - self.top - self.tilt * (x - MIDDLE)) / self.stretch(x)

    def stretch(self, x: np.ndarray | float) -> np.ndarray | float:
        """dy/dv."""
        return 1 + self.fan * (x - MIDDLE) / WIDTH


@dataclass(frozen=True)
class Defect:
    """A defect that fills x1..x2 along and v1..v2 across its profile."""

    kind: str
    x1: float
    x2: float
    v1: float
    v2: float


@dataclass(frozen=True)
class Layout:
    """One photograph: `profiles[0]` has the defects."""

    seed: int
    index: int
    profiles: tuple[Profile, ...]
    defects: tuple[Defect, ...]
    frame: tuple[float, float] = (HEIGHT, WIDTH)  # what the image shows, in reference pixels from the origin
    clarity: float = 0.0  # how much clearer defects are than in the real setting, in widths of their range of strength

    def boxes(self, size: tuple[int, int]) -> np.ndarray:
        """x1, y1, x2, y2 of each defect in an image of `size` (H, W): float32 (N, 4), whole pixels, 2 apart or more."""
        scale = np.array([size[1] / self.frame[1], size[0] / self.frame[0]] * 2)
        boxes = np.array([extent(self.profiles[0], defect) for defect in self.defects]).reshape(-1, 4)
        boxes = np.round(boxes * scale)
        limit = np.array([size[1], size[0]])
        boxes[:, :2] = boxes[:, :2].clip(0, limit - 2)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2).clip(0, limit)
        return boxes.astype(np.float32)

    def labels(self) -> np.ndarray:
        """int64 (N,), from 1."""
        return np.array([ALUMINIUM_CLASSES.index(defect.kind) + 1 for defect in self.defects], np.int64)


def extent(profile: Profile, defect: Defect) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of a defect: the straight lines that bound it are highest and lowest at an end."""
    ends = np.array([defect.x1, defect.x2])
    y1, y2 = profile.y(ends, defect.v1).min(), profile.y(ends, defect.v2).max()
    return defect.x1, float(y1), defect.x2, float(y2)


def lay_out(seed: int, index: int, deck: str = "paper") -> Layout:
    """Image number `index` of `seed`.

    The first 3005 images of the deck "paper" have each kind and pair exactly as often as the data set, those of
    "balanced" all ten kinds about equally often (in 500 images each has 50 boxes or more).
    """
    rng = np.random.default_rng([seed, index])
    kinds, chances = _dealt(seed, index, deck)
    rows = _rows(rng, kinds, chances)
    while sum(max(height for _, _, height in row) + 10 for row in rows) > HEIGHT - 30:  # no room for all
        rows = _rows(rng, kinds, rng.random(3))
    coats = USUAL_COATS[kinds[0]] if rng.random() < 0.65 else tuple(COATS)
    return Layout(seed, index, *_profiles_around(rng, rows, coats[rng.integers(len(coats))]))


def first_of_each_kind(seed: int) -> dict[str, int]:
    """For each kind the first image of a seed that shows it and no other."""
    dealt = [kinds for kinds, _ in _shuffled(seed, 0, "paper")]
    return {kind: dealt.index((kind,)) for kind in ALUMINIUM_CLASSES}


def loosen(rng: np.random.Generator, boxes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Label noise: boxes (M, 4) as a hurried person marks them, and which of the N were not overlooked, bool (N,).

    One box in twelve is missing, the last of an image never; of the rest three in ten are a tenth of their side too
    small to a quarter too large, each side for itself.
    """
    kept = rng.random(len(boxes)) >= 1 / 12
    kept[0] |= not kept.any()
    side = np.tile(boxes[:, 2:] - boxes[:, :2], 2) * (-1, -1, 1, 1)
    loose = boxes + side * rng.uniform(-0.1, 0.25, boxes.shape)
    noisy = np.where(rng.random((len(boxes), 1)) < 0.3, loose, boxes).round()
    noisy = noisy.clip(0, np.array([size[1], size[0]] * 2))
    noisy = np.where((noisy[:, 2:] - noisy[:, :2] >= 2).all(1, keepdims=True), noisy, boxes)
    return noisy[kept].astype(np.float32), kept


@lru_cache(maxsize=8)
def _shuffled(seed: int, deal: int, deck: str) -> tuple[tuple[tuple[str, ...], int], ...]:
    """The cards of a deck in the order in which they are dealt, each with how many of the same came before it."""
    copies = {(kinds,) if isinstance(kinds, str) else kinds: number for kinds, number in DECKS[deck].items()}
    cards = [kinds for kinds, number in copies.items() for _ in range(number)]
    turns = {kinds: count(deal * number) for kinds, number in copies.items()}
    order = np.random.default_rng([seed, deal, 1]).permutation(len(cards))
    return tuple((cards[i], next(turns[cards[i]])) for i in order)


def _dealt(seed: int, index: int, deck: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The kinds of an image, and three numbers in 0..1 that choose how many boxes there are and of which size.

    Over the images of a kind they follow an additive recurrence, which fills the cube evenly: the sizes of a hundred
    images already come as often as they should, where dice would need thousands.
    """
    deal, place = divmod(index, sum(DECKS[deck].values()))
    kinds, turn = _shuffled(seed, deal, deck)[place]
    start = np.random.default_rng([seed, ALUMINIUM_CLASSES.index(kinds[0]), len(kinds), 2]).random(3)
    return kinds, (start + turn * EVENLY) % 1


Row = list[tuple[str, float, float]]  # kind, width and height of boxes side by side on one face


def _rows(rng: np.random.Generator, kinds: tuple[str, ...], chances: np.ndarray) -> list[Row]:
    """Boxes with sizes as in the data set, side by side where they fit.

    An image with a single box has one of the widest of its kind, as in the data set; over all images every width
    comes as often as it should.
    """
    rows: list[Row] = []
    for nth, kind in enumerate(kinds):
        how_many, rank, level = np.roll(chances, nth)
        counts = (BOXES_ALONE if len(kinds) == 1 else BOXES_BESIDE_ANOTHER_KIND).get(kind, ONE_BOX)
        number = int(np.repeat([*counts], [*counts.values()])[int(how_many * sum(counts.values()))])
        widest = share_alone(kind)
        row: Row = []
        for box in range(number):
            place = (rank + box * EVENLY[0]) % 1
            place = 1 - widest * place if number == len(kinds) == 1 else (1 - widest) * place
            width, height = SIZES[kind].draw(place, (level + box * EVENLY[1]) % 1)
            if not row or sum(w + 60 for _, w, _ in row) + width > WIDTH:
                rows.append(row := [])
            row.append((kind, width, height))
    return [rows[i] for i in rng.permutation(len(rows))]


def _profiles_around(rng: np.random.Generator, rows: list[Row], coat: str) -> tuple[tuple[Profile, ...], tuple]:
    """A profile whose faces are made for the rows, the defects on it, and often another profile beside it."""
    flattest = min(height / width for row in rows for _, width, height in row)
    steepest = min(0.2 if rng.random() < 0.15 else 0.03, 0.5 * flattest)  # a box is mostly defect, not slope
    needed = sum(max(height for _, _, height in row) for row in rows)
    room = HEIGHT - 30 - needed - 10 * len(rows)  # for faces without defects
    spare = float(np.clip(rng.uniform(350, 1000) - needed, 60, max(room, 60)))
    total = needed + spare
    tilt = steepest * rng.uniform(-1, 1)
    fan = rng.uniform(-1, 1) * min(0.03, (steepest - abs(tilt)) * 2 * WIDTH / HEIGHT)
    frame = Profile(0, total, tilt - fan * total / (2 * WIDTH), fan, (), (), coat)
    shares = rng.dirichlet(np.full(len(rows) + 1, 1.5)) * spare
    edges, grooves, defects, v = [], [], [], 0.0
    for row, plain in zip([*rows, []], shares, strict=True):
        v = _plain_faces(rng, v, plain, edges)
        if row:
            v = _face_of(rng, frame, row, v, rng.uniform(0, max(room - spare, 0)) / len(rows), defects, grooves, edges)
    edges = tuple(edge for edge in edges if 8 < edge < v - 8)
    ys = np.array([extent(frame, defect)[1::2] for defect in defects])
    lowest, highest = 8 - ys[:, 0].min(), HEIGHT - 8 - ys[:, 1].max()  # all defects within the image
    top = float(np.clip(rng.uniform(0.35, 0.6) * HEIGHT - v / 2, min(lowest, highest), max(lowest, highest)))
    profile = Profile(top, v, frame.tilt, fan, edges, tuple(grooves), coat)
    return (profile, *_neighbour(rng, profile)), tuple(defects)


def _plain_faces(rng: np.random.Generator, v: float, extent: float, edges: list[float]) -> float:
    """Faces without defects over `extent` from v on: ribs of some 20 pixels and flat ones; returns where they end."""
    end = v + extent
    while end - v > 16:
        v = min(v + (rng.uniform(12, 45) if rng.random() < 0.55 else rng.uniform(60, 300)), end)
        edges.append(v)
    return end


def _face_of(
    rng: np.random.Generator,
    frame: Profile,
    row: Row,
    v: float,
    free: float,
    defects: list[Defect],
    grooves: list[float],
    edges: list[float],
) -> float:
    """One face from v on with a row of defects on it; returns where it ends."""
    kind = row[0][0]
    gaps = rng.dirichlet(np.ones(len(row) + 1)) * (WIDTH - sum(width for _, width, _ in row))
    spans, x = [], 0.0
    for gap, (_, width, height) in zip(gaps, row, strict=False):
        spans.append((x + gap, x + gap + width, height))
        x += gap + width
    thickest = max(_thickness(frame, *span, v) for span in spans)
    face = thickest + (min(free, rng.uniform(100, 700)) if kind in SCATTERED else 0)
    for x1, x2, height in spans:
        slack = max(face - _thickness(frame, x1, x2, height, v), 0)
        v1 = v + slack * (0.5 if kind == "paint bubble" else rng.random())
        defects.append(Defect(kind, x1, x2, v1, v1 + _thickness(frame, x1, x2, height, v1)))
    if kind == "paint bubble" and len(row) > 1:
        grooves.append(v + face / 2)
    elif face > 400 and kind in (*SCATTERED, "orange peel"):
        edges += [v + face * share for share in rng.uniform(0.1, 0.9, rng.integers(0, 3))]
    edges += [v, v + face]
    return v + face


def _thickness(frame: Profile, x1: float, x2: float, height: float, v: float) -> float:
    """How far across the profile a defect from v on reaches, so that its box is `height` high."""
    ends = np.array([x1, x2])
    bottom = frame.y(ends, v).min() + height
    return float((frame.across(ends, bottom) - v).min())


def _neighbour(rng: np.random.Generator, profile: Profile) -> tuple[Profile, ...]:
    """Another profile that reaches into the image from above or below, where there is room for it."""
    ends = np.array([0.0, WIDTH])
    above, below = profile.y(ends, 0).min(), HEIGHT - profile.y(ends, profile.height).max()
    gap, height = rng.uniform(60, 350), rng.uniform(300, 700)
    if rng.random() > 0.45 or max(above, below) < gap + 40:
        return ()
    bottom_of_profile = profile.y(MIDDLE, profile.height)
    top = profile.top - gap - height if above > below else bottom_of_profile + gap
    edges: list[float] = []
    _plain_faces(rng, 0, height, edges)
    tilt = profile.tilt + rng.uniform(-0.004, 0.004)
    return (Profile(float(top), height, tilt, profile.fan, tuple(edges[:-1]), (), profile.coat),)
