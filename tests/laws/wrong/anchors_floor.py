"""The last, incomplete cell is forgotten: integer division. Breaks counted_by_the_ceiling."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    levels = []
    for area, s in zip(areas, strides):
        sides = [(math.sqrt(area / r), math.sqrt(area * r)) for r in ratios]
        rows, columns = image_size[0] // s, image_size[1] // s
        boxes = [
            (x * s - w / 2, y * s - h / 2, x * s + w / 2, y * s + h / 2)
            for y in range(rows)
            for x in range(columns)
            for w, h in sides
        ]
        levels.append(torch.tensor(boxes).reshape(-1, 4))
    return levels
