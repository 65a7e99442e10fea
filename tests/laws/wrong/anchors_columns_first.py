"""Column by column. Breaks in_the_order_y_x_ratio."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    levels = []
    for area, s in zip(areas, strides):
        boxes = []
        for x in range(math.ceil(image_size[1] / s)):
            for y in range(math.ceil(image_size[0] / s)):
                for r in ratios:
                    w, h = math.sqrt(area / r), math.sqrt(area * r)
                    boxes.append((x * s - w / 2, y * s - h / 2, x * s + w / 2, y * s + h / 2))
        levels.append(torch.tensor(boxes))
    return levels
