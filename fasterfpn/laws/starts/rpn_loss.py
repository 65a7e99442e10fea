"""Exercise rpn_loss: equation 3, and what its sums are divided by (docs/08_rpn_loss.md)."""

import torch

from fasterfpn.models.losses import smooth_l1  # you may use it


def rpn_losses(logits, labels, deltas, target_deltas, beta=1.0):
    """The classification and the localisation loss of S sampled anchors, P of them positives.

    logits (S,): an object is there with probability sigmoid(logit); labels (S,) in {0, 1}, of a float type; deltas
    (P, 4) and target_deltas (P, 4) of the positives alone. Returns (rpn_cls_loss, rpn_loc_loss), a number each: the
    binary cross-entropy (eq. 5) summed over all samples, and the smooth L1 loss (eq. 6) summed over the positives and
    their four deltas. Both are divided by S, the number of samples; with S = 0 both are 0. Logits of +-1000 must give
    a loss, not infinity. Leave the arguments as they are.

    Hints: -log(sigmoid(z)) = log(1 + exp(-z)); exp(1000) overflows, exp(-1000) does not.
    """
    raise NotImplementedError
