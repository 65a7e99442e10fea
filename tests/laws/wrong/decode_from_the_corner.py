"""The corner is moved instead of the centre. Breaks grows_about_the_centre."""

import torch


def decode_boxes(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    corner = anchors[:, :2] + deltas[:, :2] * size
    return torch.cat([corner, corner + size * torch.exp(deltas[:, 2:].clamp(max=4.135166556742356))], dim=1)
