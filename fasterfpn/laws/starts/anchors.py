"""Exercise anchors: the fixed boxes of every level of the pyramid (docs/05_anchors.md)."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    """The anchors of an image, a list with one tensor (N_l, 4) a level, a row x1 y1 x2 y2 in pixels.

    image_size is (H, W); level l has anchors of areas[l] square pixels, one for each of `ratios` (height over width),
    on a grid of cells strides[l] pixels apart: ceil(H / stride) rows and ceil(W / stride) columns. Cell (y, x),
    counted from 0, is centred at the pixel (x * stride, y * stride). Order: row by row, in a row from left to right,
    in a cell ratio by ratio. Anchors may reach over the image's edge.

    Hints: width * height = area and height / width = ratio give both sides. Check the order on a grid of 2 x 3 cells.
    """
    raise NotImplementedError
