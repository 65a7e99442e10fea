"""Each anchor's label from its definition, brute force in plain Python; the sampling's quota and fairness."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.geometry import match_boxes, sample_balanced
from fasterfpn.laws.inputs import tensor
from fasterfpn.laws.match import by_definition

# Few different whole numbers: many ties, many IoUs that equal a threshold. Some boxes are empty or inverted.
coordinate = st.integers(0, 6)
box = st.tuples(coordinate, coordinate, coordinate, coordinate)
box = st.one_of(
    box,
    st.tuples(coordinate, coordinate, st.integers(1, 6), st.integers(1, 6)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
)
thresholds = st.tuples(*[st.sampled_from([0.0, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.7, 1.0])] * 2).map(sorted)


@given(st.lists(box, max_size=40), st.lists(box, max_size=5), thresholds, st.booleans(), st.booleans())
def test_labels_and_matches_follow_from_the_definition(anchors, boxes, thresholds, best_for_each, every_tie):
    low, high = thresholds
    labels, matched = match_boxes(
        tensor(anchors), tensor(boxes), low, high, best_for_each=best_for_each, every_tie=every_tie
    )
    assert labels.dtype == matched.dtype == torch.int64
    assert (labels.tolist(), matched.tolist()) == by_definition(anchors, boxes, low, high, best_for_each, every_tie)


@given(st.integers(1, 3000), st.integers(1, 4), st.booleans())
def test_ties_go_to_the_first_however_many_there_are(anchors, boxes, every_tie):
    """Long enough for the vectorised and the threaded ways of the reduction."""
    one = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    labels, matched = match_boxes(
        one.repeat(anchors, 1), one.repeat(boxes, 1) * 2, 0.3, 0.7, best_for_each=True, every_tie=every_tie
    )
    assert not matched.any()
    assert labels.tolist() == [1] * anchors if every_tie else [1] + [0] * (anchors - 1)


def test_a_poor_best_anchor_is_promoted_but_one_that_meets_nothing_is_not():
    anchors = tensor([(0, 0, 10, 10), (100, 0, 110, 10)])
    boxes = tensor([(9, 9, 12, 12), (50, 50, 60, 60)])
    assert match_boxes(anchors, boxes, 0.3, 0.7)[0].tolist() == [0, 0]
    assert match_boxes(anchors, boxes, 0.3, 0.7, best_for_each=True, every_tie=True)[0].tolist() == [1, 0]


def test_a_promoted_anchor_keeps_its_own_best_box():
    anchors = tensor([(0, 0, 10, 10)])
    boxes = tensor([(0, 0, 2, 10), (0, 0, 10, 6)])
    labels, matched = match_boxes(anchors, boxes, 0.3, 0.7, best_for_each=True)
    assert (labels.tolist(), matched.tolist()) == ([1], [1])


def test_low_above_high_is_refused():
    with pytest.raises(ValueError, match=r"^low "):
        match_boxes(torch.zeros(1, 4), torch.zeros(1, 4), 0.7, 0.3)


labels_list = st.lists(st.sampled_from([-1, 0, 0, 0, 1]), max_size=60)


@given(labels_list, st.integers(0, 70), st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0]), st.integers(0, 2**32))
def test_a_sample_keeps_its_quota_and_only_eligible_anchors(labels, count, fraction, seed):
    def draw():
        return sample_balanced(torch.tensor(labels, dtype=torch.int64), count, fraction, generator.manual_seed(seed))

    generator = torch.Generator()
    positive, negative = draw()
    assert positive.dtype == negative.dtype == torch.int64
    assert len(positive) == min(labels.count(1), int(count * fraction))
    assert len(negative) == min(labels.count(0), count - len(positive))
    for indices, label in ((positive.tolist(), 1), (negative.tolist(), 0)):
        assert indices == sorted(set(indices))
        assert all(labels[i] == label for i in indices)
    again = draw()
    assert torch.equal(positive, again[0]) and torch.equal(negative, again[1])


def test_every_eligible_anchor_is_as_likely():
    """Of 10 positives 4 are drawn, of 20 negatives 4: over 2000 draws each within five standard deviations."""
    labels = torch.tensor([1, 0, 0, -1] * 10)
    generator = torch.Generator().manual_seed(0)
    draws, seen = 2000, torch.zeros(40)
    for _ in range(draws):
        for indices in sample_balanced(labels, 8, 0.5, generator):
            seen[indices] += 1
    for label, p in ((1, 4 / 10), (0, 4 / 20)):
        assert ((seen[labels == label] - draws * p).abs() < 5 * (draws * p * (1 - p)) ** 0.5).all()
    assert not seen[labels == -1].any()


def test_an_impossible_quota_is_refused():
    with pytest.raises(ValueError, match=r"^count "):
        sample_balanced(torch.zeros(3), -1, 0.5, torch.Generator())
    with pytest.raises(ValueError, match=r"^positive_fraction "):
        sample_balanced(torch.zeros(3), 1, 1.5, torch.Generator())
