"""Whatever is no object counts as background. Breaks only_the_eligible."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    positives, negatives = torch.where(labels == 1)[0], torch.where(labels != 1)[0]
    positives = positives[torch.randperm(len(positives), generator=generator)[: int(count * positive_fraction)]]
    negatives = negatives[torch.randperm(len(negatives), generator=generator)[: count - len(positives)]]
    return positives, negatives
