"""Exercise roi_max_pool: the S x S cells of a region of interest (docs/10_roi_pooling.md)."""

import torch


def roi_max_pool(features, rois, spatial_scale, output_size):
    """The maximum of each channel in output_size x output_size bins of each region of interest (RoI).

    features (N, C, H, W); rois (R, 5), a row: index of the image, x1, y1, x2, y2 in pixels of the image;
    spatial_scale: cells per pixel; output_size: S. Returns a tensor (R, C, S, S).

    The corners times the scale are rounded to the nearest cell, halves away from zero (0.5 to 1, -0.5 to -1). Both
    corner cells belong to the RoI: x1 = x2 covers one column. Of a side of n cells, bin i goes from floor(i n / S) to
    ceil((i + 1) n / S), the last not included; only cells on the map count. A bin without a cell is 0, and so is a
    whole RoI with x2 < x1 or y2 < y1 (in pixels). Leave the arguments as they are.

    Hints: bins overlap where S does not divide n. round() takes halves to the even neighbour, and floor(x + 0.5) takes
    -0.5 to 0.
    """
    raise NotImplementedError
