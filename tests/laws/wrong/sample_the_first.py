"""The first ones, without chance. Breaks fair."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    positives = torch.where(labels == 1)[0][: int(count * positive_fraction)]
    return positives, torch.where(labels == 0)[0][: count - len(positives)]
