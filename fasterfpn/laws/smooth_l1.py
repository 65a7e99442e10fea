"""Laws of eq. 6."""

import torch
from hypothesis import strategies as st

from fasterfpn.laws.law import expect, law, values
from fasterfpn.models import losses

number = st.integers(-24, 24).map(lambda n: n / 8)
beta = st.sampled_from([1.0, 0.5, 0.25, 2.0])


def by_definition(x, beta):
    """Eq. 6, one number."""
    return x * x / (2 * beta) if abs(x) < beta else abs(x) - beta / 2


@law(beta=beta, share=st.integers(-7, 7).map(lambda n: n / 8))
def quadratic_near_zero(smooth_l1, beta, share):
    """Where |x| < beta it is x^2 / (2 beta)."""
    expect(smooth_l1(torch.tensor([share * beta]), beta), [by_definition(share * beta, beta)])


@law(
    beta=beta,
    share=st.integers(8, 40).map(lambda n: n / 8),
    sign=st.sampled_from([1, -1]),
)
def linear_far_away(smooth_l1, beta, share, sign):
    """Where |x| >= beta it is |x| - beta / 2."""
    expect(smooth_l1(torch.tensor([sign * share * beta]), beta), [by_definition(share * beta, beta)])


@law(x=number, beta=beta)
def even(smooth_l1, x, beta):
    """x and -x cost the same, and no less than nothing."""
    there, back = smooth_l1(torch.tensor([x]), beta), smooth_l1(torch.tensor([-x]), beta)
    expect(back, values(there), "the second result")
    expect(values(there).clamp(min=0), values(there), "the first result, cut at 0,")


@law(x=st.lists(number, min_size=1, max_size=3))
def beta_is_1_by_default(smooth_l1, x):
    """Without a beta, beta is 1."""
    expect(smooth_l1(torch.tensor(x)), [by_definition(each, 1.0) for each in x])


@law(
    rows=st.integers(0, 3),
    columns=st.integers(1, 4),
    x=number,
    beta=beta,
)
def element_by_element(smooth_l1, rows, columns, x, beta):
    """It works element by element: the result has the shape of x, nothing is summed."""
    xs = x + torch.arange(rows * columns).reshape(rows, columns) / 4
    wanted = torch.tensor([by_definition(each, beta) for each in xs.flatten().tolist()]).reshape(rows, columns)
    expect(smooth_l1(xs, beta), wanted)


reference = losses.smooth_l1


def typical():
    """The deltas of 256 positives."""
    return (torch.randn(256, 4, generator=torch.Generator().manual_seed(0)),)
