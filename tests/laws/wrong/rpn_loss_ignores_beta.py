"""Always beta 1, and a mean over the four deltas. Breaks localisation_is_divided_by_all_samples."""

import torch

from fasterfpn.models.losses import smooth_l1


def rpn_losses(logits, labels, deltas, target_deltas, beta=1.0):
    samples = max(len(logits), 1)
    cls = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / samples
    return cls, smooth_l1(deltas - target_deltas).sum() / (4 * samples)
