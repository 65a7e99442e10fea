"""randint draws some twice. Breaks each_at_most_once."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    def draw(indices, most):
        if len(indices) <= most:
            return indices
        return indices[torch.randint(len(indices), (most,), generator=generator)]

    positives = draw(torch.where(labels == 1)[0], int(count * positive_fraction))
    return positives, draw(torch.where(labels == 0)[0], count - len(positives))
