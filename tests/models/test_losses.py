"""The losses against PyTorch's own, value and gradient, and against sums by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from fasterfpn.models.losses import binary_cross_entropy, box_head_losses, cross_entropy, rpn_losses, smooth_l1

logit = st.one_of(st.floats(-30, 30), st.sampled_from([0.0, -0.0, 1e4, -1e4]))
betas = st.sampled_from([1.0, 1 / 9, 0.25, 3.0])


def vector(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def value_and_gradient(loss, x):
    (gradient,) = torch.autograd.grad(loss(x).sum(), x)
    return loss(x).detach(), gradient


def assert_same(ours, theirs, x):
    for mine, other in zip(value_and_gradient(ours, x), value_and_gradient(theirs, x), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@given(st.lists(st.one_of(logit, st.sampled_from([-1.0, 1.0, -0.25, 0.25])), min_size=1, max_size=8), betas)
def test_smooth_l1_is_pytorchs(values, beta):
    assert_same(
        lambda x: smooth_l1(x, beta),
        lambda x: F.smooth_l1_loss(x, torch.zeros_like(x), beta=beta, reduction="none"),
        vector(values),
    )


@given(st.lists(st.tuples(logit, st.sampled_from([0.0, 1.0])), min_size=1, max_size=8))
def test_binary_cross_entropy_is_pytorchs(pairs):
    labels = torch.tensor([label for _, label in pairs], dtype=torch.float64)
    assert_same(
        lambda z: binary_cross_entropy(z, labels),
        lambda z: F.binary_cross_entropy_with_logits(z, labels, reduction="none"),
        vector([value for value, _ in pairs]),
    )


@given(st.integers(1, 5).flatmap(lambda k: st.lists(st.lists(logit, min_size=k, max_size=k), min_size=1, max_size=6)))
def test_cross_entropy_is_pytorchs(rows):
    labels = torch.arange(len(rows)) % len(rows[0])
    assert_same(
        lambda z: cross_entropy(z, labels), lambda z: F.cross_entropy(z, labels, reduction="none"), vector(rows)
    )


@given(st.floats(-20, 20), st.sampled_from([0, 1]))
def test_equation_5_as_it_is_printed(z, label):
    p = 1 / (1 + math.exp(-z))
    by_hand = -(label * math.log(p) + (1 - label) * math.log1p(-p))
    got = binary_cross_entropy(vector([z]), torch.tensor([float(label)])).item()
    assert got == pytest.approx(by_hand, rel=1e-6, abs=1e-12)


def test_equation_6_by_hand():
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    assert smooth_l1(x).tolist() == [1.5, 0.5, 0.125, 0.0, 0.125, 0.5, 2.5]
    assert smooth_l1(torch.tensor([0.25, 1.0]), beta=0.5).tolist() == [0.0625, 0.75]


def test_rpn_losses_by_hand():
    logits, labels = torch.tensor([0.0, 0.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.0, 0.0])
    deltas, targets = torch.tensor([[0.5, 0.0, 2.0, -1.0]]), torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    cls_loss, loc_loss = rpn_losses(logits, labels, deltas, targets)
    assert cls_loss.item() == pytest.approx(math.log(2))
    assert loc_loss.item() == pytest.approx((0.125 + 0 + 1.5 + 1.5) / 4)  # one positive, four samples


def test_box_head_losses_by_hand():
    logits, labels = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]]), torch.tensor([2, 0])
    deltas, targets = torch.tensor([[1.0, 1.0, 0.5, 0.0]]), torch.tensor([[0.0, -1.0, 0.0, 0.0]])
    cls_loss, loc_loss = box_head_losses(logits, labels, deltas, targets)
    assert cls_loss.item() == pytest.approx((math.log(3) + math.log(2)) / 2)
    assert loc_loss.item() == pytest.approx((0.5 + 1.5 + 0.125) / 2)


@given(st.integers(1, 6), st.data())
def test_losses_are_pytorchs_sums_over_all_samples(samples, data):
    positives = data.draw(st.integers(0, samples))
    beta = data.draw(betas)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32)))
    deltas, targets = torch.randn(2, positives, 4, generator=generator, dtype=torch.float64)
    loc = F.smooth_l1_loss(deltas, targets, beta=beta, reduction="sum") / samples

    z = torch.randn(samples, generator=generator, dtype=torch.float64)
    p = torch.tensor([1.0] * positives + [0.0] * (samples - positives), dtype=torch.float64)
    want = (F.binary_cross_entropy_with_logits(z, p), loc)
    torch.testing.assert_close(rpn_losses(z, p, deltas, targets, beta), want)

    z = torch.randn(samples, 4, generator=generator, dtype=torch.float64)
    c = torch.tensor([1 + i % 3 for i in range(positives)] + [0] * (samples - positives))
    torch.testing.assert_close(box_head_losses(z, c, deltas, targets, beta), (F.cross_entropy(z, c), loc))


def test_gradients_are_the_slopes():
    generator = torch.Generator().manual_seed(0)
    deltas, targets = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    deltas.requires_grad_()
    z = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    p = torch.tensor([1.0, 1, 1, 0, 0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z, d: rpn_losses(z, p, d, targets, 1 / 9), (z, deltas))
    z = torch.randn(5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    c = torch.tensor([3, 1, 2, 0, 0])
    assert torch.autograd.gradcheck(lambda z, d: box_head_losses(z, c, d, targets), (z, deltas))


def test_without_samples_both_are_zero_and_can_be_differentiated():
    none = torch.zeros(0, 4, requires_grad=True)
    for logits, labels, losses in (
        (torch.zeros(0, requires_grad=True), torch.zeros(0), rpn_losses),
        (torch.zeros(0, 3, requires_grad=True), torch.zeros(0, dtype=torch.int64), box_head_losses),
    ):
        cls_loss, loc_loss = losses(logits, labels, none, torch.zeros(0, 4))
        assert cls_loss.item() == loc_loss.item() == 0
        (cls_loss + loc_loss).backward()
