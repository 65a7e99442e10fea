"""How large and how many the defects of real aluminium profiles are, as summary numbers.

They stand for 504 boxes of 374 images of the paper's data set (Tianchi competition 231682, second round), in pixels of
its 2560x1920 images: quantiles of the width, and quantiles of the height within each half or third of the boxes by
width, so that a kind that is either small or long keeps both of its forms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDTH_LEVELS = (0, 5, 10, 15, 20, 25, 30, 35, 45, 55, 65, 75, 85, 95, 100)  # percent
HEIGHT_LEVELS = (0, 5, 15, 25, 50, 75, 85, 95, 100)
FULL_WIDTH = 2560
SPANNING = 2500  # a box as wide as this goes from edge to edge


@dataclass(frozen=True)
class Sizes:
    """widths: quantiles at WIDTH_LEVELS (none: always the whole width); heights: at HEIGHT_LEVELS, narrow to wide."""

    widths: tuple[int, ...]
    heights: tuple[tuple[int, ...], ...]

    def draw(self, rank: float, level: float) -> tuple[float, float]:
        """Width at `rank` in 0..1 among the widths, and height at `level` in 0..1 among boxes of about that width."""
        width = np.interp(100 * rank, WIDTH_LEVELS, self.widths) if self.widths else FULL_WIDTH
        heights = self.heights[min(int(rank * len(self.heights)), len(self.heights) - 1)]
        return float(FULL_WIDTH if width > SPANNING else width), float(np.interp(100 * level, HEIGHT_LEVELS, heights))


# fmt: off
SIZES = {
    "non-conductive": Sizes(
        (68, 148, 232, 293, 383, 626, 1159, 2558, 2559, 2559, 2559, 2559, 2559, 2559, 2559),
        ((39, 44, 66, 92, 153, 230, 300, 464, 581),
         (39, 128, 277, 308, 378, 474, 489, 641, 753),
         (139, 195, 335, 374, 426, 487, 506, 661, 800)),
    ),
    "scratch": Sizes(
        (47, 92, 176, 180, 221, 388, 610, 746, 923, 1062, 1499, 1822, 2457, 2559, 2559),
        ((63, 69, 191, 230, 323, 400, 422, 677, 690),
         (75, 76, 102, 111, 188, 728, 941, 1031, 1034)),
    ),
    "corner leak": Sizes(
        (),
        ((79, 98, 110, 122, 132, 151, 158, 228, 352),),
    ),
    "orange peel": Sizes(
        (),
        ((70, 71, 79, 118, 477, 824, 878, 927, 945),),
    ),
    "leakage": Sizes(
        (284, 720, 1251, 2552, 2555, 2559, 2559, 2559, 2559, 2559, 2559, 2559, 2559, 2559, 2559),
        ((59, 68, 81, 87, 103, 132, 151, 437, 507),
         (67, 87, 98, 102, 128, 155, 192, 402, 688),
         (86, 96, 102, 112, 133, 153, 206, 281, 333)),
    ),
    "jet": Sizes(
        (98, 240, 330, 394, 410, 435, 491, 547, 706, 939, 1048, 1321, 1753, 2543, 2559),
        ((89, 90, 114, 131, 164, 185, 243, 414, 423),
         (88, 88, 138, 168, 202, 262, 318, 356, 356)),
    ),
    "paint bubble": Sizes(
        (16, 28, 30, 32, 33, 36, 37, 38, 46, 78, 105, 184, 313, 676, 2558),
        ((16, 17, 20, 22, 24, 28, 33, 39, 41),
         (28, 28, 30, 31, 35, 56, 89, 101, 102),
         (33, 33, 36, 40, 50, 61, 100, 140, 147)),
    ),
    "crater": Sizes(
        (),
        ((27, 32, 45, 53, 72, 104, 123, 216, 761),),
    ),
    "parti-color": Sizes(
        (),
        ((247, 260, 283, 351, 565, 631, 670, 735, 1489),),
    ),
    "dirty point": Sizes(
        (24, 43, 55, 66, 71, 83, 88, 95, 132, 214, 483, 866, 2505, 2559, 2559),
        ((32, 37, 43, 47, 60, 74, 77, 82, 83),
         (41, 47, 58, 83, 126, 191, 219, 339, 386),
         (80, 157, 206, 396, 1142, 1491, 1504, 1522, 1579)),
    ),
}
# fmt: on

# Images that show one kind only, of the 3005 of the data set, and those that show two (in the proportions of the 374).
IMAGES_OF_ONE = {
    "non-conductive": 390,
    "scratch": 128,
    "corner leak": 346,
    "orange peel": 173,
    "leakage": 538,
    "jet": 86,
    "paint bubble": 82,
    "crater": 407,
    "parti-color": 365,
    "dirty point": 261,
}
IMAGES_OF_TWO = {
    ("corner leak", "dirty point"): 142,
    ("orange peel", "dirty point"): 33,
    ("leakage", "dirty point"): 22,
    ("non-conductive", "dirty point"): 11,
    ("non-conductive", "corner leak"): 11,
    ("crater", "dirty point"): 10,
}

# How many boxes of a kind an image shows, and how often in the 374; kinds that are not named: always one.
BOXES_ALONE = {
    "non-conductive": {1: 46, 2: 5, 3: 2},
    "scratch": {1: 7, 2: 6, 3: 1},
    "leakage": {1: 61, 2: 5, 3: 2},
    "jet": {1: 10, 2: 4, 3: 1},
    "paint bubble": {1: 4, 2: 1, 8: 1, 9: 1, 10: 1, 14: 1},
    "dirty point": {1: 18, 2: 9, 3: 4, 4: 1, 5: 1},
}
BOXES_BESIDE_ANOTHER_KIND = {"dirty point": {1: 9, 2: 10, 3: 1}}
ONE_BOX = {1: 1}


def _mean(counts: dict[int, int]) -> float:
    return sum(count * weight for count, weight in counts.items()) / sum(counts.values())


def share_alone(kind: str) -> float:
    """Of all boxes of a kind, the share of those that are the only box of their image."""
    alone = BOXES_ALONE.get(kind, ONE_BOX)
    beside = sum(images for pair, images in IMAGES_OF_TWO.items() if kind in pair)
    boxes = IMAGES_OF_ONE[kind] * _mean(alone) + beside * _mean(BOXES_BESIDE_ANOTHER_KIND.get(kind, ONE_BOX))
    return IMAGES_OF_ONE[kind] * alone[1] / sum(alone.values()) / boxes
