"""With meshgrid, a tuple of levels."""

import math

import torch


def pyramid_anchors(image_size, areas, ratios, strides):
    return tuple(level(image_size, area, torch.tensor(ratios), stride) for area, stride in zip(areas, strides))


def level(image_size, area, ratios, stride):
    ys, xs = (torch.arange(math.ceil(side / stride)) * stride for side in image_size)
    w, h = torch.sqrt(area / ratios), torch.sqrt(area * ratios)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    centres = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (centres + torch.stack([-w / 2, -h / 2, w / 2, h / 2], dim=1)).flatten(0, 1)
