"""Inputs that the laws share: boxes on a small grid, where numbers are exact and edges, ties and thresholds meet."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor

Corners = tuple[float, float, float, float]


def tensor(boxes: Sequence[Corners], dtype: torch.dtype = torch.float32) -> Tensor:
    """Boxes (N, 4), N = 0 too."""
    return torch.tensor(boxes, dtype=dtype).reshape(-1, 4)


def proper_box(extent: int = 12, side: int = 8) -> st.SearchStrategy[Corners]:
    """A box with whole-number corners and sides of 1 or more."""
    corner, length = st.integers(0, extent), st.integers(1, side)
    return st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, length, length)


def empty_box(extent: int = 12, side: int = 8) -> st.SearchStrategy[Corners]:
    """A box without area: flat along one axis or both, or with a corner on the wrong side."""
    corner, length, back = st.integers(0, extent), st.integers(1, side), st.integers(0, side)
    flat = st.builds(lambda x, y, w, h: (x, y, x - w, y + h), corner, corner, back, length)
    low = st.builds(lambda x, y, w, h: (x, y, x + w, y - h), corner, corner, length, back)
    both = st.builds(lambda x, y, w, h: (x, y, x - w, y - h), corner, corner, back, back)
    return st.one_of(flat, low, both)


def boxes(box: st.SearchStrategy[Corners] | None = None, least: int = 0, most: int = 4):
    """`least` to `most` boxes, proper ones unless `box` says else."""
    return st.lists(proper_box() if box is None else box, min_size=least, max_size=most)


def exact_iou(a: Corners, b: Corners) -> Fraction:
    """The definition, in rational numbers; 0 where a box is empty. Corners are whole numbers."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if min(width, height, a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]) <= 0:
        return Fraction(0)
    shared = width * height
    return Fraction(shared, (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def random_boxes(count: int, extent: float = 1000.0, seed: int = 0) -> Tensor:
    """Boxes (count, 4) of sides up to a tenth of the extent."""
    corner, side = torch.rand(2, count, 2, generator=torch.Generator().manual_seed(seed)) * extent
    return torch.cat((corner, corner + side / 10 + 1), dim=1)
