"""Anchors: the fixed boxes of several areas and shapes that the RPN judges and moves (figure 8).

L levels, A anchors a cell (areas times ratios), level l of Hl x Wl cells; cell (y, x) is centred at (y, x) times the
stride. Cell anchors (A, 4) lie around the origin; those of a level are (Hl * Wl * A, 4), in the order y, x, area,
ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

AREAS = (32.0**2, 64.0**2, 128.0**2, 256.0**2, 512.0**2)  # square pixels, for P2..P6
RATIOS = (0.5, 1.0, 2.0)  # height : width
STRIDES = (4, 8, 16, 32, 64)  # pixels between neighbouring cells of P2..P6


def cell_anchors(
    area: float,
    ratios: Sequence[float] = RATIOS,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    rounded: bool = False,
) -> Tensor:
    """Anchors (A, 4) of one cell, centred at the origin: `area` square pixels, height : width as in `ratios`.

    `rounded=True` rounds the coordinates to whole pixels, half to even, as torchvision does; the paper's are unrounded.
    Raises ValueError unless the area and all ratios are positive and finite.
    """
    if not (0 < area < math.inf):
        raise ValueError(f"area must be positive and finite, got {area}")
    if not ratios or not all(0 < ratio < math.inf for ratio in ratios):
        raise ValueError(f"ratios must be positive and finite, and at least one, got {tuple(ratios)}")
    sides = [(math.sqrt(area / ratio), math.sqrt(area * ratio)) for ratio in ratios]  # w h = area, h / w = ratio
    corners = torch.tensor([(-w / 2, -h / 2, w / 2, h / 2) for w, h in sides], dtype=torch.float64)
    corners = corners.round() if rounded else corners
    return corners.to(dtype=dtype, device=device)


def grid_anchors(cell: Tensor, grid_size: tuple[int, int], stride: tuple[float, float]) -> Tensor:
    """The cell anchors (A, 4) repeated on every cell of a grid: (h * w * A, 4), order y, x, anchor, type of `cell`.

    grid_size (h, w) in cells; stride (sy, sx) in pixels: cell (y, x) is centred at pixel (x * sx, y * sy), so the first
    one at the image's corner. A grid without cells gives (0, 4).
    """
    (h, w), (sy, sx) = grid_size, stride
    y = torch.arange(h, dtype=cell.dtype, device=cell.device) * sy
    x = torch.arange(w, dtype=cell.dtype, device=cell.device) * sx
    cy, cx = torch.meshgrid(y, x, indexing="ij")
    centers = torch.stack((cx, cy, cx, cy), dim=-1)  # (h, w, 4)
    return (centers[:, :, None] + cell).reshape(-1, 4)


@dataclass(frozen=True)
class Anchors:
    """The anchors of a network: L strides in pixels, the areas in square pixels of each level, ratios height : width.

    A pyramid has one area a level (Lin et al. 2017, 4.1); a single map has all of them (Ren et al. 2015, 3.1.1).
    `rounded` and `strides_measured` are torchvision's ways: corners in whole pixels, and strides taken as image side //
    level side, which are other than `strides` where a side is no multiple of them.
    Raises ValueError where areas and strides differ in number, or levels in their number of areas.
    """

    strides: tuple[int, ...] = STRIDES
    areas: tuple[tuple[float, ...], ...] = tuple((area,) for area in AREAS)
    ratios: tuple[float, ...] = RATIOS
    rounded: bool = False
    strides_measured: bool = False

    def __post_init__(self) -> None:
        if len(self.areas) != len(self.strides):
            raise ValueError(f"areas and strides must be as many, got {len(self.areas)} and {len(self.strides)}")
        if len(set(map(len, self.areas))) > 1:
            raise ValueError(f"areas must be as many on every level, got {self.areas}")

    @property
    def per_cell(self) -> int:
        """A, the same on every level, since one head serves them all."""
        return len(self.areas[0]) * len(self.ratios)

    def of_grids(
        self,
        image_size: tuple[int, int],
        grid_sizes: Sequence[tuple[int, int]],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> list[Tensor]:
        """Anchors (Hl * Wl * A, 4) of levels of these grid sizes (Hl, Wl), for an image of (H, W) pixels."""
        kind = {"dtype": dtype, "device": device, "rounded": self.rounded}
        levels = []
        for grid, areas, stride in zip(grid_sizes, self.areas, self.strides, strict=True):
            cell = torch.cat([cell_anchors(area, self.ratios, **kind) for area in areas])  # (A, 4)
            measured = image_size[0] // max(grid[0], 1), image_size[1] // max(grid[1], 1)
            levels.append(grid_anchors(cell, grid, measured if self.strides_measured else (stride, stride)))
        return levels


def pyramid_anchors(
    image_size: tuple[int, int],
    areas: Sequence[float] = AREAS,
    ratios: Sequence[float] = RATIOS,
    strides: Sequence[int] = STRIDES,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    rounded: bool = False,
) -> list[Tensor]:
    """Anchors of an image of image_size (H, W) pixels: L tensors, (ceil(H / s) * ceil(W / s) * A, 4) for stride s.

    One of `areas` (square pixels) and of `strides` (pixels) a level, all `ratios` (height : width) on every level: with
    the defaults 306,900 anchors of 15 kinds on 1280 x 960 (section 3.3). Anchors may reach over the image's edge: they
    are not clipped. Raises ValueError where areas and strides differ in number, or for what `cell_anchors` refuses.
    """
    anchors = Anchors(tuple(strides), tuple((area,) for area in areas), tuple(ratios), rounded)
    grids = [(math.ceil(image_size[0] / stride), math.ceil(image_size[1] / stride)) for stride in strides]
    return anchors.of_grids(image_size, grids, dtype, device)
