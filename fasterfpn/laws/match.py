"""Laws of matching: which candidates stand for an object, and for which."""

from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.inputs import boxes, empty_box, exact_iou, proper_box, random_boxes, tensor
from fasterfpn.laws.law import expect, law, several

# Few whole numbers: many ties. Thresholds are sums of powers of two, so that an IoU that equals one does so in floats.
small = proper_box(5, 6)
some = st.one_of(small, empty_box(5, 6))
thresholds = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=2).map(sorted)


def by_definition(candidates, boxes, low, high, best_for_each, every_tie=False):
    """Labels and matches, one candidate at a time. Corners are whole numbers."""
    if not boxes:
        return [0] * len(candidates), [0] * len(candidates)
    labels, matched = [], []
    for candidate in candidates:
        overlaps = [exact_iou(box, candidate) for box in boxes]
        quality = max(overlaps)
        matched.append(overlaps.index(quality))
        labels.append(1 if float(quality) >= high else 0 if float(quality) < low else -1)
    if best_for_each:
        for box in boxes:
            overlaps = [exact_iou(box, candidate) for candidate in candidates]
            best = max(overlaps, default=0)
            ties = [i for i, overlap in enumerate(overlaps) if overlap == best and best > 0]
            for i in ties if every_tie else ties[:1]:
                labels[i] = 1
    return labels, matched


def matches(match_boxes, candidates, boxes, low, high, best_for_each):
    """Labels and matched of the implementation."""
    found = match_boxes(tensor(candidates), tensor(boxes), low, high, best_for_each=best_for_each)
    return several(found, 2, "labels and matched")


@law(
    candidates=boxes(small, 1, 3),
    box=small,
    thresholds=thresholds,
)
def labelled_by_two_thresholds(match_boxes, candidates, box, thresholds):
    """A candidate is an object (1) from IoU `high` on, background (0) below `low`, and else ignored (-1)."""
    labels, _ = matches(match_boxes, candidates, [box], *thresholds, False)
    expect(labels, by_definition(candidates, [box], *thresholds, False)[0], "labels")


@law(
    candidates=boxes(small, 1, 2),
    boxes=boxes(small, 2),
    best=st.booleans(),
)
def matched_to_the_highest(match_boxes, candidates, boxes, best):
    """`matched` is the number of the box that a candidate overlaps most; of equals the first; 0 where it meets none."""
    _, matched = matches(match_boxes, candidates, boxes, 0.25, 0.75, best)
    expect(matched, by_definition(candidates, boxes, 0.25, 0.75, best)[1], "matched")


@law(
    candidates=boxes(small, 1),
    box=small,
)
def the_best_candidate_is_an_object(match_boxes, candidates, box):
    """With best_for_each, every box has an object: its best candidate, the first of equals, however poor."""
    labels, _ = matches(match_boxes, candidates, [box], 0.25, 1.0, True)
    expect(labels, by_definition(candidates, [box], 0.25, 1.0, True)[0], "labels")


@law(
    candidates=boxes(small, 1),
    empty=empty_box(5, 6),
)
def nothing_met_nothing_matched(match_boxes, candidates, empty):
    """A candidate that meets no box is never an object, with best_for_each either; an empty box matches nothing."""
    far = (50, 50, 60, 60)
    labels, _ = matches(match_boxes, candidates, [far, empty], 0.25, 0.75, True)
    expect(labels, [0] * len(candidates), "labels")


@law(candidates=boxes(small), best=st.booleans())
def without_boxes_all_is_background(match_boxes, candidates, best):
    """Without boxes all labels and all matches are 0."""
    labels, matched = matches(match_boxes, candidates, [], 0.25, 0.75, best)
    expect(labels, [0] * len(candidates), "labels")
    expect(matched, [0] * len(candidates), "matched")


@law(
    candidates=boxes(some, 0, 12),
    boxes=boxes(some),
    thresholds=thresholds,
    best=st.booleans(),
)
def follows_from_the_definition(match_boxes, candidates, boxes, thresholds, best):
    """All of it together, for any candidates and boxes."""
    labels, matched = matches(match_boxes, candidates, boxes, *thresholds, best)
    due = by_definition(candidates, boxes, *thresholds, best)
    expect(labels, due[0], "labels")
    expect(matched, due[1], "matched")


reference = geometry.match_boxes


def typical():
    """1000 anchors and 10 boxes."""
    return random_boxes(1000), random_boxes(10, seed=1), 0.3, 0.7
