"""RoI max pooling, bin by bin."""

import math

import torch


def roi_max_pool(features, rois, spatial_scale, output_size):
    channels, height, width = features.shape[1:]
    result = torch.zeros(len(rois), channels, output_size, output_size)
    for r, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        if x2 < x1 or y2 < y1:
            continue
        left, top, right, bottom = (nearest(corner * spatial_scale) for corner in (x1, y1, x2, y2))
        for i in range(output_size):
            rows = cells(top, bottom, i, output_size, height)
            for j in range(output_size):
                columns = cells(left, right, j, output_size, width)
                window = features[int(image), :, rows, columns]
                if window.numel() > 0:
                    result[r, :, i, j] = window.amax(dim=(1, 2))
    return result


def nearest(x):
    """The nearest whole number, halves away from zero."""
    whole = math.trunc(x)
    return whole + (abs(x - whole) >= 0.5) * (1 if x > 0 else -1)


def cells(first, last, i, bins, most):
    """The slice of bin i, cut to the map."""
    count = last - first + 1
    start, stop = first + i * count // bins, first + math.ceil((i + 1) * count / bins)
    return slice(min(max(start, 0), most), min(max(stop, 0), most))
