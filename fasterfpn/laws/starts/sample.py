"""Exercise sample: which of the labelled anchors the loss sees (docs/07_assignment.md)."""

import torch


def sample_balanced(labels, count, positive_fraction, generator):
    """Draw at most `count` candidates, positives and negatives.

    labels (R,) are integers: 1 object, 0 background, -1 ignored. Of the objects, floor(count * positive_fraction) are
    drawn, or all where there are no more. Background fills all the places that are left, as far as there is enough of
    it. Nobody is drawn twice, and each of a label is as likely as any other. All chance comes from `generator`, a
    torch.Generator, so that the same state draws the same.
    Returns (positives, negatives): their indices into labels, two tensors of integers, in any order.

    Hints: torch.randperm(n, generator=generator). If objects are few, background may fill more than half.
    """
    raise NotImplementedError
