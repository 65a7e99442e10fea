"""Anchors: the fixed boxes, one area a level and several shapes a cell, that the RPN judges and moves (figure 8).

L levels, A anchors per cell (one a ratio), level l of Hl x Wl cells; cell (y, x) is centred at (y, x) times the stride.
cell anchors (A, 4) lie around the origin; a level's anchors are (Hl * Wl * A, 4), in the order y, x, ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    if len(areas) != len(strides):
        raise ValueError(f"areas and strides must be as many, got {len(areas)} and {len(strides)}")
    height, width = image_size
    levels = []
    for area, stride in zip(areas, strides):
        cell = cell_anchors(area, ratios, dtype=dtype, device=device, rounded=rounded)
        grid_size = (math.ceil(height / stride), math.ceil(width / stride))
        levels.append(grid_anchors(cell, grid_size, (stride, stride)))
    return levels
