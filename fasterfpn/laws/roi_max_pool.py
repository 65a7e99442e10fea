"""Laws of RoI max pooling: which cells a RoI covers, how bins share them, and what each bin takes."""

import math
from fractions import Fraction

import torch
from hypothesis import strategies as st

from fasterfpn import ops
from fasterfpn.laws.inputs import random_boxes
from fasterfpn.laws.law import expect, law

side, size = st.integers(1, 8), st.integers(1, 4)
halves = st.integers(-4, 20).map(lambda n: n / 2)
roi = st.tuples(halves, halves, st.integers(0, 14), st.integers(0, 14)).map(
    lambda r: (r[0], r[1], r[0] + r[2] / 2, r[1] + r[3] / 2)
)
numbers = st.randoms(use_true_random=False)


def nearest(x):
    """Exact rounding, halves away from zero."""
    return int(math.copysign(math.floor(abs(Fraction(x)) + Fraction(1, 2)), x))


def by_definition(features, rois, scale, size):
    """Bin by bin and cell by cell, as nested lists (R, C, S, S)."""
    return [
        [pooled(features[int(image)][c], box, scale, size) for c in range(len(features[0]))] for image, *box in rois
    ]


def pooled(plane, box, scale, size):
    """The S x S maxima of one channel (H, W) in one RoI."""
    if box[2] < box[0] or box[3] < box[1]:
        return [[0.0] * size for _ in range(size)]
    x1, y1, x2, y2 = (nearest(Fraction(c) * Fraction(scale)) for c in box)
    rows = edges(y1, y2 + 1 - y1, size, len(plane))
    columns = edges(x1, x2 + 1 - x1, size, len(plane[0]))
    return [[max((plane[y][x] for y in ys for x in xs), default=0.0) for xs in columns] for ys in rows]


def edges(start, cells, size, most):
    """The cells of each bin: from floor(i n / S) to ceil((i + 1) n / S), those on the map."""
    return [
        range(max(start + i * cells // size, 0), min(start - (-(i + 1) * cells // size), most)) for i in range(size)
    ]


def ramp(height, width):
    """A map (1, 1, H, W) on which the number of a cell is its place in reading order."""
    return torch.arange(float(height * width)).reshape(1, 1, height, width)


def check(roi_max_pool, features, rois, scale=1.0, size=2):
    """One call against the definition. Small maps in float32."""
    found = roi_max_pool(features, torch.tensor(rois, dtype=torch.float32).reshape(-1, 5), scale, size)
    wanted = torch.tensor(by_definition(features.tolist(), rois, scale, size))
    expect(found, wanted.reshape(len(rois), features.shape[1], size, size))


@law(
    rois=st.integers(0, 2),
    channels=st.integers(1, 3),
    size=size,
)
def one_plane_for_each_roi_and_channel(roi_max_pool, rois, channels, size):
    """The result has shape (R, C, S, S), without RoIs too."""
    check(roi_max_pool, torch.zeros(1, channels, 4, 5), [(0, 0, 0, 2, 2)] * rois, 1.0, size)


@law(
    x=st.integers(0, 4),
    y=st.integers(0, 4),
    wide=st.integers(0, 2),
    high=st.integers(0, 2),
)
def both_corners_belong_to_it(roi_max_pool, x, y, wide, high):
    """The cells of both corners belong to the RoI: x1 = x2 covers one column."""
    check(roi_max_pool, ramp(8, 8), [(0, x, y, x + wide, y + high)], 1.0, 1)


@law(
    x=halves,
    y=halves,
    wide=st.integers(0, 3),
    size=size,
)
def halves_round_away_from_zero(roi_max_pool, x, y, wide, size):
    """Corners are rounded to the nearest cell, halves away from zero: 0.5 to 1, 2.5 to 3, -0.5 to -1."""
    check(roi_max_pool, ramp(10, 10), [(0, x, y, x + wide, y + wide)], 1.0, size)
    check(roi_max_pool, -ramp(10, 10), [(0, x, y, x + wide, y + wide)], 1.0, size)


@law(size=size)
def just_under_one_half_is_rounded_down(roi_max_pool, size):
    """The number just under one half is rounded to 0."""
    below = 0.49999997  # the float32 under 0.5: 0.49999997 + 0.5 is 1 in float32
    check(roi_max_pool, ramp(4, 4), [(0, 0, 0, below, below)], 1.0, size)


@law(
    wide=st.integers(0, 7),
    high=st.integers(0, 7),
    size=size,
)
def bins_overlap_where_they_do_not_divide(roi_max_pool, wide, high, size):
    """Bins share cells: bin i of n cells goes from floor(i n / S) to ceil((i + 1) n / S)."""
    check(roi_max_pool, ramp(8, 8), [(0, 0, 0, wide, high)], 1.0, size)
    check(roi_max_pool, -ramp(8, 8), [(0, 0, 0, wide, high)], 1.0, size)


@law(
    roi=roi,
    scale=st.sampled_from([0.25, 0.5, 1.0]),
)
def scaled_then_rounded(roi_max_pool, roi, scale):
    """x counts columns, y counts rows, and the scale (cells per pixel) comes before the rounding."""
    check(roi_max_pool, ramp(4, 9), [(0, *(c / scale for c in roi))], scale, 2)


@law(images=st.lists(st.integers(0, 2), min_size=1, max_size=3))
def from_its_own_image(roi_max_pool, images):
    """The first column of a RoI is the number of its image."""
    features = torch.arange(3.0)[:, None, None, None].expand(3, 1, 2, 2) + 1
    check(roi_max_pool, features.contiguous(), [(image, 0, 0, 1, 1) for image in images], 1.0, 1)


@law(value=st.integers(-9, -1), size=size)
def negative_maxima_too(roi_max_pool, value, size):
    """A bin takes its greatest cell, even if all are negative."""
    check(roi_max_pool, torch.full((1, 1, 3, 3), float(value)), [(0, 0, 0, 2, 2)], 1.0, size)


@law(
    x=st.integers(-9, 9),
    y=st.integers(-9, 9),
    wide=st.integers(-6, 6).map(lambda n: n / 2),
    high=st.integers(-6, 6).map(lambda n: n / 2),
    size=size,
)
def zero_where_there_is_nothing(roi_max_pool, x, y, wide, high, size):
    """A bin off the map is 0; a RoI with x2 < x1 or y2 < y1 gives zeros."""
    check(roi_max_pool, ramp(4, 4) + 1, [(0, x, y, x + wide, y + high)], 1.0, size)


@law(
    height=side,
    width=side,
    rois=st.lists(roi, max_size=2),
    size=st.integers(1, 7),
    random=numbers,
)
def follows_from_the_definition(roi_max_pool, height, width, rois, size, random):
    """All of it together."""
    values = [float(random.randint(-9, 9)) for _ in range(2 * height * width)]
    features = torch.tensor(values).reshape(1, 2, height, width)
    check(roi_max_pool, features, [(0, *roi) for roi in rois], 1.0, size)


reference = ops.roi_max_pool


def typical():
    """20 RoIs on a map of 16 channels."""
    generator = torch.Generator().manual_seed(0)
    rois = torch.cat((torch.zeros(20, 1), random_boxes(20, 160.0)), dim=1)
    return torch.randn(1, 16, 40, 40, generator=generator), rois, 0.25, 7
