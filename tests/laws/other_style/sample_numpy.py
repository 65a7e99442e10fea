"""numpy's generator, seeded by torch's; arrays out, unsorted."""

import numpy as np
import torch


def sample_balanced(labels, count, positive_fraction, generator):
    chance = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    labels = labels.numpy()
    positives = chance.permutation(np.flatnonzero(labels == 1))[: int(count * positive_fraction)]
    negatives = chance.permutation(np.flatnonzero(labels == 0))[: count - len(positives)]
    return positives, negatives
