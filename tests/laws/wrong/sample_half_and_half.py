"""Background never fills the places of missing objects. Breaks negatives_fill_up."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    positives, negatives = torch.where(labels == 1)[0], torch.where(labels == 0)[0]
    most = int(count * positive_fraction)
    positives = positives[torch.randperm(len(positives), generator=generator)[:most]]
    negatives = negatives[torch.randperm(len(negatives), generator=generator)[: count - most]]
    return positives, negatives
