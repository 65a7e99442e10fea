"""Chance from the global state instead of the generator. Breaks repeatable."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    positives, negatives = torch.where(labels == 1)[0], torch.where(labels == 0)[0]
    positives = positives[torch.randperm(len(positives))[: int(count * positive_fraction)]]
    return positives, negatives[torch.randperm(len(negatives))[: count - len(positives)]]
