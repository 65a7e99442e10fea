"""AP by shorter side: objects and detections outside the bin are ignored."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.engine.average_precision import average_precision, short_side_in


def image(boxes, scores=None):
    content = {"boxes": torch.tensor(boxes).float().reshape(-1, 4), "labels": torch.ones(len(boxes), dtype=torch.int64)}
    return content if scores is None else content | {"scores": torch.tensor(scores)}


SMALL, LARGE, ELSEWHERE = (0, 0, 40, 6), (0, 50, 40, 90), (60, 60, 100, 66)


@pytest.mark.parametrize(
    ("found", "scores", "sides", "expected"),
    [
        ([SMALL], [0.9], (4, 8), 1.0),
        ([LARGE, SMALL], [0.95, 0.9], (4, 8), 1.0),  # finding the large one is no false alarm among the small
        ([ELSEWHERE, SMALL], [0.95, 0.9], (4, 8), 0.5),  # a false alarm of that size is
        ([ELSEWHERE, LARGE], [0.95, 0.9], (32, math.inf), 1.0),  # and one of another size is not
        ([LARGE], [0.9], (4, 8), 0.0),
        ([SMALL], [0.9], (6, 8), 1.0),  # low <= side
        ([LARGE], [0.9], (8, 40), math.nan),  # side < high: nothing to find
    ],
)
def test_ap_of_a_bin(found, scores, sides, expected):
    result = average_precision([image(found, scores)], [image([SMALL, LARGE])], labels=[1], sides=sides)
    assert result["AP"][1] == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(0.1, 90)] * 2), max_size=12))
def test_every_box_lies_in_one_bin(corners):
    boxes = torch.tensor([(x, y, x + w, y + h) for x, y, w, h in corners]).reshape(-1, 4)
    edges = (0, 4, 8, 32, math.inf)
    bins = [short_side_in(boxes, bounds) for bounds in itertools.pairwise(edges)]
    assert (torch.stack(bins).sum(0) == 1).all()
