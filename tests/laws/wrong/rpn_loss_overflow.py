"""log(sigmoid) of a large logit is log(0). Breaks huge_logits_stay_finite."""

import torch

from fasterfpn.models.losses import smooth_l1


def rpn_losses(logits, labels, deltas, target_deltas, beta=1.0):
    samples, p = max(len(logits), 1), torch.sigmoid(logits)
    cls = -(labels * torch.log(p) + (1 - labels) * torch.log(1 - p)).sum() / samples
    return cls, smooth_l1(deltas - target_deltas, beta).sum() / samples
