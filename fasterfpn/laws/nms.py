"""Laws of non-maximum suppression: who is kept, why the others are not, and in which order."""

import torch
from hypothesis import strategies as st

from fasterfpn import ops
from fasterfpn.laws.inputs import empty_box, exact_iou, proper_box, random_boxes, tensor
from fasterfpn.laws.law import expect, expect_that, law, values
from fasterfpn.laws.plain import plain

# Thresholds that a float holds exactly, so that "more than" means the same in every type. Few scores: many ties.
threshold = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
score = st.sampled_from([0.2, 0.4, 0.6, 0.8])
box = proper_box(5, 5)
scored = st.lists(st.tuples(box, score), max_size=7)


def by_definition(boxes, scores, threshold):
    """The best box is kept and removes what it overlaps by more than the threshold; then the best of the rest."""
    rest, kept = sorted(range(len(boxes)), key=lambda i: (-scores[i], i)), []
    while rest:
        best, *rest = rest
        kept.append(best)
        rest = [i for i in rest if exact_iou(boxes[best], boxes[i]) <= threshold]
    return kept


def keep(nms, boxes, scores, threshold):
    """The kept indices of the implementation as a list of int."""
    result = values(nms(tensor(boxes), torch.tensor(scores, dtype=torch.float32), threshold))
    indices = [int(i) for i in result.flatten().tolist()]
    within = result.ndim == 1 and indices == result.tolist() and all(0 <= i < len(boxes) for i in indices)
    expect_that(within and len(set(indices)) == len(indices), "the result lists indices of boxes, each at most once")
    return indices


@law(scores=st.lists(st.integers(0, 99), unique=True, max_size=6))
def by_descending_score(nms, scores):
    """The kept boxes come by descending score."""
    apart = [(10 * i, 0, 10 * i + 5, 5) for i in range(len(scores))]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    expect(keep(nms, apart, [score / 100 for score in scores], 0.5), order)


@law(
    wide=st.sampled_from([1, 2, 3, 4]),
    threshold=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
)
def strictly_more_than_the_threshold(nms, wide, threshold):
    """A box is suppressed where the IoU is more than the threshold; an IoU equal to it is no reason."""
    boxes = [(0, 0, 4, 4), (0, 0, wide, 4)]  # IoU wide / 4
    expect(keep(nms, boxes, [0.8, 0.6], threshold), [0] if wide / 4 > threshold else [0, 1])


@law(
    same=st.integers(1, 4),
    threshold=st.sampled_from([0.5, 1.0]),
)
def ties_go_to_the_lower_index(nms, same, threshold):
    """Of boxes with equal scores the lower index comes first, and wins."""
    boxes = [(0, 0, 4, 4)] * same + [(20, 0, 24, 4)]
    expect(keep(nms, boxes, [0.6] * len(boxes), threshold), by_definition(boxes, [0.6] * len(boxes), threshold))


@law(scored=scored, threshold=threshold)
def kept_boxes_are_apart(nms, scored, threshold):
    """No two kept boxes overlap by more than the threshold."""
    boxes, scores = [box for box, _ in scored], [score for _, score in scored]
    kept = keep(nms, boxes, scores, threshold)
    for place, i in enumerate(kept):
        for j in kept[:place]:
            overlap = exact_iou(boxes[i], boxes[j])
            expect_that(
                overlap <= threshold, f"boxes {j} and {i} cannot both be kept: their IoU is {float(overlap):.3f}"
            )


@law(
    count=st.integers(1, 6),
    step=st.sampled_from([2, 3]),
)
def only_kept_boxes_suppress(nms, count, step):
    """Only a kept box suppresses: in a chain where each box overlaps the next alone, every second one is kept."""
    chain = [(step * i, 0, step * i + 4, 4) for i in range(count)]  # IoU with the next 1/3 or 1/7, with others 0
    expect(keep(nms, chain, [0.9 - i / 10 for i in range(count)], 0.125), list(range(0, count, 2)))


@law(
    scored=scored,
    threshold=threshold,
)
def suppressed_boxes_have_a_keeper(nms, scored, threshold):
    """A suppressed box overlaps a kept one of higher score (of equals: lower index) by more than the threshold."""
    boxes, scores = [box for box, _ in scored], [score for _, score in scored]
    kept = keep(nms, boxes, scores, threshold)
    for i in sorted(set(range(len(boxes))) - set(kept)):
        better = [j for j in kept if (-scores[j], j) < (-scores[i], i)]
        found = any(exact_iou(boxes[i], boxes[j]) > threshold for j in better)
        expect_that(found, f"box {i} is kept, for it overlaps no better kept box by more than {plain(threshold)}")


@law(empty=empty_box(5, 5), box=box, threshold=threshold)
def empty_boxes_are_kept(nms, empty, box, threshold):
    """A box without area is kept and suppresses nothing."""
    expect(keep(nms, [empty, box, empty], [0.8, 0.6, 0.4], threshold), [0, 1, 2])


@law(
    scored=scored,
    threshold=threshold,
    scale=st.sampled_from([0.125, 64.0]),
)
def the_unit_does_not_matter(nms, scored, threshold, scale):
    """Width is x2 - x1, without + 1: boxes of a fraction of a pixel are judged like large ones."""
    boxes, scores = [box for box, _ in scored], [score for _, score in scored]
    scaled = [tuple(c * scale for c in box) for box in boxes]
    expect(keep(nms, scaled, scores, threshold), by_definition(boxes, scores, threshold))


@law(scored=scored, threshold=threshold)
def follows_from_the_definition(nms, scored, threshold):
    """All of it together: greedy, from the best score down."""
    boxes, scores = [box for box, _ in scored], [score for _, score in scored]
    expect(keep(nms, boxes, scores, threshold), by_definition(boxes, scores, threshold))


reference = ops.nms


def typical():
    """500 boxes, many of which overlap."""
    return random_boxes(500, 300.0), torch.rand(500, generator=torch.Generator().manual_seed(0)), 0.25
