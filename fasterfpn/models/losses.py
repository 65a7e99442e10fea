"""The losses (eq. 3, 5, 6; Girshick 2015 eq. 1-3), from scratch.

S sampled anchors or proposals, P of them positive, K + 1 classes (0 is the background). Each function gives a scalar.
Both localisation losses sum over the positives but are divided by all S samples: an image with one small object
should not weigh its four coordinates as much as another image weighs forty.
"""

from __future__ import annotations

import torch
from torch import Tensor


def smooth_l1(x: Tensor, beta: float = 1.0) -> Tensor:
    """Eq. 6, element by element: x^2 / (2 beta) where |x| < beta, |x| - beta / 2 otherwise; any shape. The paper's
    beta is 1."""
    size = x.abs()
    return torch.where(size < beta, 0.5 * x * x / beta, size - 0.5 * beta)


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 5, element by element, with p = sigmoid(logit): -[p* log p + (1 - p*) log(1 - p)] for labels p* in {0, 1}.

    Written as log(e^z + e^0) - z p*, which is the same and never overflows; its slope is p - p*, at z = 0 too.
    """
    return torch.logaddexp(logits, torch.zeros_like(logits)) - logits * labels


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label], row by row: logits (S, K + 1), labels (S,) int64 -> (S,)."""
    return torch.logsumexp(logits, dim=1) - logits.gather(1, labels[:, None])[:, 0]


def rpn_losses(
    logits: Tensor, labels: Tensor, deltas: Tensor, target_deltas: Tensor, beta: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Eq. 3's two sums: logits (S,), labels (S,) in {0, 1}; deltas and target_deltas (P, 4) of the positives.

    Returns (rpn_cls_loss, rpn_loc_loss), both divided by S. Deviation from Ren et al., who divide the second by the
    number of anchor locations and multiply by lambda = 10: about the same weight (their sec. 3.1.2). S = 0 gives zeros.
    """
    samples = max(labels.numel(), 1)
    return binary_cross_entropy(logits, labels).sum() / samples, smooth_l1(deltas - target_deltas, beta).sum() / samples


def box_head_losses(
    logits: Tensor, labels: Tensor, deltas: Tensor, target_deltas: Tensor, beta: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The box head's losses: logits (S, K + 1), labels (S,) in 0..K; deltas (P, 4) of each positive's own class, and
    targets (P, 4).

    Returns (roi_cls_loss, roi_loc_loss), both divided by S. S = 0 gives zeros.
    """
    samples = max(labels.numel(), 1)
    return cross_entropy(logits, labels).sum() / samples, smooth_l1(deltas - target_deltas, beta).sum() / samples
