"""Eq. 3, with torch's own logarithm of the sigmoid, which does not overflow."""

import torch

from fasterfpn.models.losses import smooth_l1


def rpn_losses(logits, labels, deltas, target_deltas, beta=1.0):
    samples = max(len(labels), 1)
    log_p, log_not_p = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    cross_entropy = -(labels * log_p + (1 - labels) * log_not_p)
    return cross_entropy.sum() / samples, smooth_l1(deltas - target_deltas, beta).sum() / samples
