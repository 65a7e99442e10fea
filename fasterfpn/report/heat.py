"""Saliency maps as pictures: image, map and overlay side by side (figure 13)."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image, ImageFilter
from torch import Tensor

from fasterfpn.report.draw import to_picture

GAP = 4  # pixels of white between the pictures
HIGHEST = 0.995  # the quantile of the map that is drawn brightest: single pixels would darken all others
GLOW = 1 / 80  # of the shorter side: how far the overlay is blurred, so that grains join


def saliency_triptych(image: Tensor, values: Tensor) -> Image.Image:
    """Image (3, H, W) in 0..1, its map (H, W) and both laid over each other, as one picture (H, 3 W + gaps)."""
    photograph, grains = to_picture(image), _stretched(values)
    glow = Image.fromarray(np.uint8(255 * grains)).filter(ImageFilter.GaussianBlur(GLOW * min(values.shape)))
    heat = np.asarray(glow, dtype=np.float32)
    heat = heat / max(float(heat.max()), 1.0)
    grey = np.asarray(photograph.convert("L").convert("RGB"), dtype=np.float32) / 255
    overlay = (1 - heat[..., None]) * 0.6 * grey + heat[..., None] * _coloured(heat)
    pictures = [photograph, *(Image.fromarray(np.uint8(255 * part)) for part in (_coloured(grains), overlay))]
    width, height = photograph.size
    together = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    for index, picture in enumerate(pictures):
        together.paste(picture, (index * (width + GAP), 0))
    return together


def _stretched(values: Tensor) -> np.ndarray:
    """(H, W) in 0..1; a map of zeros stays dark."""
    values = values.detach().float().cpu()
    # Not torch.quantile, which refuses more than 2^24 values.
    highest = values.flatten().kthvalue(max(1, int(HIGHEST * values.numel()))).values
    return (values / torch.where(highest > 0, highest, values.max().clamp(min=1e-30))).clamp(0, 1).numpy()


def _coloured(values: np.ndarray) -> np.ndarray:
    return colormaps["inferno"](values)[..., :3].astype(np.float32)
