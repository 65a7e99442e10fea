"""The ratio upside down. Breaks height_over_width."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    levels = []
    for area, s in zip(areas, strides):
        ys = torch.arange(math.ceil(image_size[0] / s)) * s
        xs = torch.arange(math.ceil(image_size[1] / s)) * s
        w = torch.tensor([math.sqrt(area * r) for r in ratios])
        h = torch.tensor([math.sqrt(area / r) for r in ratios])
        cell = torch.stack([-w, -h, w, h], dim=1) / 2
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        levels.append((torch.stack([x, y, x, y], dim=-1)[:, :, None] + cell).reshape(-1, 4))
    return levels
