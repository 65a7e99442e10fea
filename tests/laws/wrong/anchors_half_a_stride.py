"""Centres in the middle of the cells. Breaks centred_at_multiples_of_the_stride."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    levels = []
    for area, s in zip(areas, strides):
        ys = (torch.arange(math.ceil(image_size[0] / s)) + 0.5) * s
        xs = (torch.arange(math.ceil(image_size[1] / s)) + 0.5) * s
        h = torch.tensor([math.sqrt(area * r) for r in ratios])
        w = torch.tensor([math.sqrt(area / r) for r in ratios])
        cell = torch.stack([-w, -h, w, h], dim=1) / 2
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        levels.append((torch.stack([x, y, x, y], dim=-1)[:, :, None] + cell).reshape(-1, 4))
    return levels
