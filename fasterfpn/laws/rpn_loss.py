"""Laws of eq. 3: the RPN's two losses, and what each sum is divided by."""

import math

import torch
from hypothesis import strategies as st

from fasterfpn.laws.law import expect, law, several
from fasterfpn.laws.smooth_l1 import by_definition as smooth_l1
from fasterfpn.models import losses

logit, delta = st.integers(-24, 24).map(lambda n: n / 4), st.integers(-12, 12).map(lambda n: n / 4)
sample = st.tuples(logit, st.booleans(), st.tuples(delta, delta, delta, delta), st.tuples(delta, delta, delta, delta))
samples = st.lists(sample, min_size=1, max_size=5)
beta = st.sampled_from([1.0, 0.5, 2.0])


def arguments(samples):
    """logits (S,), labels (S,); deltas and target deltas (P, 4) of the positives."""
    logits = torch.tensor([float(logit) for logit, *_ in samples])
    labels = torch.tensor([float(positive) for _, positive, *_ in samples])
    pairs = [(deltas, targets) for _, positive, deltas, targets in samples if positive]
    deltas, targets = (torch.tensor([pair[side] for pair in pairs]).reshape(-1, 4) for side in (0, 1))
    return logits, labels, deltas, targets


def by_definition(samples, beta=1.0):
    """Eq. 5 and eq. 6 summed, both divided by S."""
    cls = sum(math.log1p(math.exp(-abs(z))) + max(z, 0) - z * positive for z, positive, *_ in samples)
    loc = sum(
        smooth_l1(delta - target, beta)
        for _, positive, deltas, targets in samples
        if positive
        for delta, target in zip(deltas, targets)
    )
    return cls / max(len(samples), 1), loc / max(len(samples), 1)


def both_losses(rpn_losses, *given):
    """The classification and the localisation loss of the implementation."""
    return several(rpn_losses(*given), 2, "rpn_cls_loss and rpn_loc_loss, a number each")


@law(samples=samples)
def log_2_for_a_network_that_knows_nothing(rpn_losses, samples):
    """With all logits 0 the classification loss is log 2, for any labels and any number of samples."""
    _, *rest = arguments(samples)
    cls, _ = both_losses(rpn_losses, torch.zeros(len(samples)), *rest)
    expect(cls, math.log(2), "rpn_cls_loss")


@law(samples=samples)
def classification_is_the_mean_over_all_samples(rpn_losses, samples):
    """The classification loss is eq. 5, summed over all samples and divided by their number S."""
    cls, _ = both_losses(rpn_losses, *arguments(samples))
    expect(cls, by_definition(samples)[0], "rpn_cls_loss")


@law(
    samples=samples,
    beta=beta,
)
def localisation_is_divided_by_all_samples(rpn_losses, samples, beta):
    """The localisation loss sums over all four deltas of the positives, but is divided by all S samples."""
    _, loc = both_losses(rpn_losses, *arguments(samples), beta)
    expect(loc, by_definition(samples, beta)[1], "rpn_loc_loss")


@law(wrong=st.booleans(), sign=st.sampled_from([1, -1]))
def huge_logits_stay_finite(rpn_losses, wrong, sign):
    """A logit of 1000 gives a loss, not infinity or NaN."""
    positive = (sign > 0) != wrong
    row = (1000.0 * sign, positive, (0.0,) * 4, (0.0,) * 4)
    cls, _ = both_losses(rpn_losses, *arguments([row]))
    expect(cls, 1000.0 if wrong else 0.0, "rpn_cls_loss")


@law(samples=st.lists(logit, max_size=3))
def nothing_costs_nothing(rpn_losses, samples):
    """Without positives the localisation loss is 0, without samples both are."""
    rows = [(z, False, (), ()) for z in samples]
    cls, loc = both_losses(rpn_losses, *arguments(rows))
    expect(cls, by_definition(rows)[0], "rpn_cls_loss")
    expect(loc, 0.0, "rpn_loc_loss")


reference = losses.rpn_losses


def typical():
    """256 samples, 128 of them positives."""
    generator = torch.Generator().manual_seed(0)
    logits, deltas = torch.randn(256, generator=generator), torch.randn(2, 128, 4, generator=generator)
    return logits, (torch.arange(256) < 128).float(), *deltas
