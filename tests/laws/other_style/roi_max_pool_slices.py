"""A slice of the map for each bin, in plain Python."""

import math

import torch


def roi_max_pool(features, rois, spatial_scale, output_size):
    channels, height, width = features.shape[1:]
    S = output_size
    result = torch.zeros(len(rois), channels, S, S)
    for r, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        if x2 < x1 or y2 < y1:
            continue
        left, top, right, bottom = (nearest(corner * spatial_scale) for corner in (x1, y1, x2, y2))
        h, w = bottom - top + 1, right - left + 1
        for i in range(S):
            for j in range(S):
                y = slice(max(top + i * h // S, 0), max(top + math.ceil((i + 1) * h / S), 0))
                x = slice(max(left + j * w // S, 0), max(left + math.ceil((j + 1) * w / S), 0))
                window = features[int(image), :, y, x]
                if window.numel():
                    result[r, :, i, j] = window.amax(dim=(1, 2))
    return result


def nearest(x):
    return int(math.copysign(math.floor(abs(x) + 0.5), x))
