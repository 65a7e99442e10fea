"""Plain Python, numbers out."""

import math


def rpn_losses(logits, labels, deltas, target_deltas, beta=1.0):
    samples = max(len(logits), 1)
    cls = sum(max(z, 0) - z * p + math.log1p(math.exp(-abs(z))) for z, p in zip(logits.tolist(), labels.tolist()))
    loc = 0.0
    for d in (deltas - target_deltas).abs().flatten().tolist():
        loc += 0.5 * d * d / beta if d < beta else d - 0.5 * beta
    return cls / samples, loc / samples
