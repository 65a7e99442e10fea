"""Eq. 6."""

import torch


def smooth_l1(x, beta=1.0):
    small = x.abs() < beta
    return torch.where(small, x**2 / (2 * beta), x.abs() - beta / 2)
