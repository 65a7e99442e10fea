"""A shuffle, and its first ones."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    positives = shuffled((labels == 1).nonzero().flatten(), generator)[: int(count * positive_fraction)]
    negatives = shuffled((labels == 0).nonzero().flatten(), generator)[: count - len(positives)]
    return positives, negatives


def shuffled(indices, generator):
    return indices[torch.randperm(len(indices), generator=generator)]
