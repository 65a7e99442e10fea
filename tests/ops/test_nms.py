"""Laws of non-maximum suppression, on every back end.

Three of them determine the result: kept boxes are pairwise under the threshold, each suppressed box has a keeper, and
the order is by descending score, ties by index.
"""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import DTYPES, NMS_KERNELS, THRESHOLDS, box_sets, running

from fasterfpn.ops import batched_nms, nms, use_backend

thresholds = st.sampled_from(THRESHOLDS) | st.floats(0, 1)


def suppresses(boxes, threshold):
    """(N, N) bool, by numpy: IoU of non-empty boxes, each step rounded in the working type, compared as float64."""
    boxes = boxes.double().numpy() if boxes.dtype == torch.float64 else boxes.float().numpy()
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    with np.errstate(all="ignore"):
        sides = np.maximum(np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2]), 0)
        inter = sides[..., 0] * sides[..., 1]
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        iou = inter / (area[:, None] + area - inter)
    nonempty = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return nonempty & nonempty[:, None] & (iou.astype(np.float64) > threshold)


@NMS_KERNELS
@given(box_sets(DTYPES), thresholds, st.booleans())
def test_definition(kernel, boxes_scores_segments, threshold, batched):
    boxes, scores, segments = boxes_scores_segments
    with running(kernel):
        kept = batched_nms(boxes, scores, segments, threshold) if batched else nms(boxes, scores, threshold)
    assert kept.dtype == torch.int64
    order = sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), i))
    together = segments[:, None] == segments if batched else torch.ones(len(boxes), len(boxes), dtype=torch.bool)
    pairs = suppresses(boxes, threshold) & together.numpy()
    np.fill_diagonal(pairs, False)
    rank = {box: place for place, box in enumerate(order)}
    places = [rank[i] for i in kept.tolist()]
    assert places == sorted(set(places))  # by score, each at most once
    assert not pairs[np.ix_(kept.numpy(), kept.numpy())].any()
    for box in set(order) - set(kept.tolist()):
        assert any(pairs[keeper, box] and rank[keeper] < rank[box] for keeper in kept.tolist())


@NMS_KERNELS
@given(box_sets(DTYPES), thresholds)
def test_equals_reference(kernel, boxes_scores_segments, threshold):
    boxes, scores, segments = boxes_scores_segments
    with running(kernel):
        result = nms(boxes, scores, threshold), batched_nms(boxes, scores, segments, threshold)
    with use_backend("reference"):
        reference = nms(boxes, scores, threshold), batched_nms(boxes, scores, segments, threshold)
    assert torch.equal(result[0], reference[0]) and torch.equal(result[1], reference[1])


@NMS_KERNELS
@given(box_sets(), thresholds)
def test_identity_on_its_own_output(kernel, boxes_scores_segments, threshold):
    boxes, scores, _ = boxes_scores_segments
    with running(kernel):
        kept = nms(boxes, scores, threshold)
        assert nms(boxes[kept], scores[kept], threshold).tolist() == list(range(len(kept)))


@NMS_KERNELS
@given(box_sets(), thresholds)
def test_segments_are_separate_runs(kernel, boxes_scores_segments, threshold):
    boxes, scores, segments = boxes_scores_segments
    with running(kernel):
        kept = batched_nms(boxes, scores, segments, threshold)
        for segment in segments.unique():
            members = (segments == segment).nonzero().flatten()
            alone = members[nms(boxes[members], scores[members], threshold)]
            assert kept[segments[kept] == segment].tolist() == alone.tolist()


@NMS_KERNELS
def test_two_decimal_thresholds(kernel):
    """Two boxes of IoU exactly k/100, threshold k/100: whether float32's k/100 lies above float64's decides, as in
    torchvision's CPU kernel. It does for 46 of the 99."""
    suppressed = []
    for k in range(1, 100):
        boxes = torch.tensor([[0.0, 0.0, 100.0, 1.0], [0.0, 0.0, float(k), 1.0]])
        with running(kernel):
            suppressed.append(len(nms(boxes, torch.tensor([0.9, 0.8]), k / 100)) == 1)
    assert suppressed == [Fraction(float(np.float32(k / 100))) > Fraction(k / 100) for k in range(1, 100)]
    assert sum(suppressed) == 46


@NMS_KERNELS
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_fifth(kernel, dtype):
    """IoU 1/5 at 0.2: above it as float32, equal to it as float64."""
    boxes = torch.tensor([[0, 0, 3, 1], [2, 0, 5, 1]], dtype=dtype)
    with running(kernel):
        kept = nms(boxes, torch.tensor([1.0, 0.5]).to(dtype), 0.2)
    assert kept.tolist() == ([0, 1] if dtype == torch.float64 else [0])


@NMS_KERNELS
def test_degenerates(kernel):
    with running(kernel):
        identical = torch.tensor([[1.0, 1.0, 4.0, 4.0]]).expand(5, 4)
        assert nms(identical, torch.zeros(5), 0.999).tolist() == [0]  # equal scores: the lower index wins
        assert nms(identical, torch.zeros(5), 1.0).tolist() == [0, 1, 2, 3, 4]  # strictly greater
        touching = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0], [0.5, 0.0, 1.5, 1.0]])
        assert nms(touching, torch.tensor([0.9, 0.8, 0.7]), 0.0).tolist() == [0, 1]
        empty = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 3.0]])
        assert nms(empty, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.0).tolist() == [0, 1, 2, 3]
        scores = torch.tensor([-torch.inf, torch.inf, 0.0])
        assert nms(touching, scores, 0.5).tolist() == [1, 2, 0]
        assert nms(torch.empty(0, 4), torch.empty(0), 0.5).shape == (0,)


@NMS_KERNELS
def test_segments_need_no_offsets(kernel):
    """Far away in half precision, where an offset of the coordinates would overflow."""
    boxes = torch.tensor([[60000, 0, 60032, 32], [60000, 0, 60032, 32]], dtype=torch.float16)
    with running(kernel):
        assert batched_nms(boxes, torch.ones(2), torch.tensor([0, 2**62]), 0.5).tolist() == [0, 1]
        assert batched_nms(boxes, torch.ones(2), torch.tensor([-7, -7]), 0.5).tolist() == [0]
