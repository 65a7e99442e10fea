"""With functions of torch instead of indices."""

import torch
from torch.nn.functional import interpolate, max_pool2d


def feature_pyramid(features, laterals, outputs):
    merged = [lateral(feature) for lateral, feature in zip(laterals, features)]
    for k in (2, 1, 0):
        above = merged[k + 1]
        merged[k] = merged[k] + interpolate(above, size=merged[k].shape[-2:], mode="nearest")
    pyramid = [output(level) for output, level in zip(outputs, merged)]
    pyramid.append(max_pool2d(pyramid[3], kernel_size=1, stride=2))
    return pyramid
