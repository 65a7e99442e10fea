"""The mean instead of each element. Breaks element_by_element."""

import torch


def smooth_l1(x, beta=1.0):
    return torch.where(x.abs() < beta, 0.5 * x**2 / beta, x.abs() - 0.5 * beta).mean()
