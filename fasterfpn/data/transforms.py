"""Flips of an image together with its boxes.

H, W height and width of the image in pixels; boxes (N, 4) x1 y1 x2 y2 in continuous coordinates, so that a mirror
maps x to W - x, without the -1 of pixel indices.
"""

from __future__ import annotations

import torch
from torch import Tensor


def flip(image: Tensor, boxes: Tensor, horizontal: bool, vertical: bool) -> tuple[Tensor, Tensor]:
    """The image (..., H, W) and boxes (N, 4) mirrored left to right (`horizontal`) and top to bottom (`vertical`).

    Both inputs are left as they are. Flipping twice gives back the image exactly, and the boxes to rounding of W - x
    (exactly for whole and half pixels).
    """
    height, width = image.shape[-2:]
    if horizontal:
        image = image.flip(-1)
        x1, y1, x2, y2 = boxes.unbind(-1)
        boxes = torch.stack([width - x2, y1, width - x1, y2], dim=-1)
    if vertical:
        image = image.flip(-2)
        x1, y1, x2, y2 = boxes.unbind(-1)
        boxes = torch.stack([x1, height - y2, x2, height - y1], dim=-1)
    return image, boxes
