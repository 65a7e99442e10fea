"""Laws of the balanced sample: its quota, its members, its fairness."""

import torch
from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.law import expect, expect_that, law, several, values
from fasterfpn.laws.plain import plain

labels = st.lists(st.sampled_from([-1, 0, 0, 1]), max_size=24)
many = st.lists(st.sampled_from([-1, 0, 0, 1]), min_size=8, max_size=24)
counts, fractions = st.integers(0, 12), st.sampled_from([0.0, 0.25, 0.5, 1.0])
seeds = st.integers(0, 1000)


def draw(sample_balanced, labels, count, fraction, seed=0):
    """Positives and negatives of the implementation as lists of int, ascending."""
    generator = torch.Generator().manual_seed(seed)
    parts = sample_balanced(torch.tensor(labels, dtype=torch.int64), count, fraction, generator)
    names = "indices of the positives, and of the negatives"
    return [sorted(map(int, values(part, names).flatten().tolist())) for part in several(parts, 2, names)]


@law(
    labels=many,
    count=counts,
    fraction=fractions,
)
def only_the_eligible(sample_balanced, labels, count, fraction):
    """Only candidates labelled 1 are drawn as positives, and only those labelled 0 as negatives; -1 is never drawn."""
    for indices, label, name in zip(draw(sample_balanced, labels, count, fraction), (1, 0), ("positives", "negatives")):
        own = [i for i, each in enumerate(labels) if each == label]
        expect_that(set(indices) <= set(own), f"{name} are some of {own}")


@law(labels=many, count=st.integers(2, 8), fraction=fractions, seed=seeds)
def each_at_most_once(sample_balanced, labels, count, fraction, seed):
    """No candidate is drawn twice."""
    for indices in draw(sample_balanced, labels, count, fraction, seed):
        expect_that(len(set(indices)) == len(indices), "no index comes twice")


@law(
    labels=many,
    count=counts,
    fraction=fractions,
)
def quota_of_positives(sample_balanced, labels, count, fraction):
    """At most floor(count * positive_fraction) positives are drawn, and all of them where there are no more."""
    positives, _ = draw(sample_balanced, labels, count, fraction)
    expect(len(positives), min(labels.count(1), int(count * fraction)), "the number of positives")


@law(
    labels=many,
    count=counts,
    fraction=fractions,
)
def negatives_fill_up(sample_balanced, labels, count, fraction):
    """Negatives fill all the places that the positives leave free, but no more than `count` are drawn in all."""
    positives, negatives = draw(sample_balanced, labels, count, fraction)
    expect(len(negatives), min(labels.count(0), count - len(positives)), "the number of negatives")


@law(labels=labels, seed=seeds)
def repeatable(sample_balanced, labels, seed):
    """The same state of the generator gives the same sample."""
    first, again = draw(sample_balanced, labels, 4, 0.5, seed), draw(sample_balanced, labels, 4, 0.5, seed)
    expect_that(first == again, f"the second sample is the first again, {plain(first)}")


@law()
def fair(sample_balanced):
    """Every candidate of a label is as likely as any other: 300 draws of 8 from 10 positives and 20 negatives."""
    labels, draws = [1, 0, 0, -1] * 10, 300
    drawn = [0] * len(labels)
    for seed in range(draws):
        for indices in draw(sample_balanced, labels, 8, 0.5, seed):
            for i in indices:
                drawn[i] += 1
    for label, chance, name in ((1, 4 / 10, "positive"), (0, 4 / 20, "negative")):
        for i in (i for i, each in enumerate(labels) if each == label):
            spread = 5 * (draws * chance * (1 - chance)) ** 0.5
            within = abs(drawn[i] - draws * chance) < spread
            expect_that(within, f"{name} {i} is drawn about {draws * chance:.0f} times of {draws}, not {drawn[i]}")


reference = geometry.sample_balanced


def typical():
    """256 of 20,000 anchors."""
    labels = torch.randint(-1, 2, (20_000,), generator=torch.Generator().manual_seed(0))
    return labels, 256, 0.5, torch.Generator().manual_seed(0)
