"""numpy, cell by cell, Decimal for the rounding."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np


def roi_max_pool(features, rois, spatial_scale, output_size):
    maps, size = features.numpy(), output_size
    _, channels, height, width = maps.shape
    out = np.zeros((len(rois), channels, size, size))
    for r, (image, *corners) in enumerate(rois.numpy().astype(np.float64)):
        x1, y1, x2, y2 = (int(Decimal(float(c * spatial_scale)).quantize(Decimal(1), ROUND_HALF_UP)) for c in corners)
        if corners[2] < corners[0] or corners[3] < corners[1]:
            continue
        bin_h, bin_w = (y2 - y1 + 1) / size, (x2 - x1 + 1) / size
        for i in range(size):
            top, bottom = y1 + int(np.floor(i * bin_h)), y1 + int(np.ceil((i + 1) * bin_h))
            for j in range(size):
                left, right = x1 + int(np.floor(j * bin_w)), x1 + int(np.ceil((j + 1) * bin_w))
                window = maps[int(image), :, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
                if window.size:
                    out[r, :, i, j] = window.max(axis=(1, 2))
    return out
