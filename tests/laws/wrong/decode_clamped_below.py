"""The clamp works both ways. Breaks clamped_above."""

import torch


def decode_boxes(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + deltas[:, :2] * size
    half = size * torch.exp(deltas[:, 2:].clamp(-4.135166556742356, 4.135166556742356)) / 2
    return torch.cat([centre - half, centre + half], dim=1)
