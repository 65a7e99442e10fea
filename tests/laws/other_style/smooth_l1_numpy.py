"""numpy inside."""

import numpy as np
import torch


def smooth_l1(x, beta=1.0):
    a = np.abs(x.numpy().astype(np.float64))
    return torch.from_numpy(np.where(a < beta, 0.5 * a**2 / beta, a - 0.5 * beta))
