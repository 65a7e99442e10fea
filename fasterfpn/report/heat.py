"""Draws a saliency map: image, map and overlay in one picture (the paper's figure 13).

The image is (3, H, W) with values in 0..1; its map is (H, W) with values of 0 or more.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image, ImageFilter
from torch import Tensor

from fasterfpn.report.draw import to_picture

GAP = 4  # pixels of white between the parts
HIGHEST = 0.995  # quantile of the map that gets the brightest colour; the maximum would leave all other pixels dark
BLUR = 1 / 80  # blur radius in the overlay, as a fraction of the shorter side; it merges single pixels into patches


def saliency_triptych(image: Tensor, values: Tensor) -> Image.Image:
    """The image, its map from black to yellow, and the map over the grey image; H pixels high, 3 W + 2 GAP wide."""
    photograph, heat = to_picture(image), _stretched(values)
    blurred = Image.fromarray(np.uint8(255 * heat)).filter(ImageFilter.GaussianBlur(BLUR * min(values.shape)))
    opacity = np.asarray(blurred, dtype=np.float32)
    opacity = opacity / max(float(opacity.max()), 1.0)
    grey = np.asarray(photograph.convert("L").convert("RGB"), dtype=np.float32) / 255
    overlay = (1 - opacity[..., None]) * 0.6 * grey + opacity[..., None] * _coloured(opacity)
    width, height = photograph.size
    triptych = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    triptych.paste(photograph, (0, 0))
    triptych.paste(Image.fromarray(np.uint8(255 * _coloured(heat))), (width + GAP, 0))
    triptych.paste(Image.fromarray(np.uint8(255 * overlay)), (2 * (width + GAP), 0))
    return triptych


def _stretched(values: Tensor) -> np.ndarray:
    """The map scaled to 0..1, with values above the quantile `HIGHEST` cut to 1; a map of zeros stays 0."""
    values = values.detach().float().cpu()
    # Not torch.quantile, which refuses more than 2^24 values.
    highest = values.flatten().kthvalue(max(1, int(HIGHEST * values.numel()))).values
    return (values / torch.where(highest > 0, highest, values.max().clamp(min=1e-30))).clamp(0, 1).numpy()


def _coloured(values: np.ndarray) -> np.ndarray:
    """(H, W) in 0..1 as colours (H, W, 3)."""
    return colormaps["inferno"](values)[..., :3].astype(np.float32)
