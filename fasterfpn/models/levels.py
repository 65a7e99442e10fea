"""The feature maps that a detector works on: made once from the architecture, asked by everything after it."""

from __future__ import annotations

from dataclasses import dataclass

from fasterfpn.geometry.anchors import STRIDES


@dataclass(frozen=True)
class Levels:
    """L maps, finest first.

    strides (L,) in pixels; areas: of the anchors on each level, in square pixels; pooled: how many of the levels, from
    the finest on, proposals are pooled from.
    """

    strides: tuple[int, ...]
    areas: tuple[tuple[float, ...], ...]
    pooled: int

    @classmethod
    def pyramid(cls, areas: tuple[float, ...]) -> Levels:
        """P2..P6 with one area each; P6 serves the RPN alone (fig. 9b)."""
        return cls(STRIDES, tuple((area,) for area in areas), pooled=4)

    @classmethod
    def single(cls, areas: tuple[float, ...]) -> Levels:
        """C4 with all areas in each cell (Ren et al. 2015, 3.1.1)."""
        return cls((16,), (tuple(areas),), pooled=1)
