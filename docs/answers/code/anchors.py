"""The anchors, cell by cell."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    height, width = image_size
    levels = []
    for area, stride in zip(areas, strides):
        anchors = []
        for y in range(math.ceil(height / stride)):
            for x in range(math.ceil(width / stride)):
                for ratio in ratios:
                    w = math.sqrt(area / ratio)
                    h = w * ratio
                    anchors.append([x * stride - w / 2, y * stride - h / 2, x * stride + w / 2, y * stride + h / 2])
        levels.append(torch.tensor(anchors))
    return levels
