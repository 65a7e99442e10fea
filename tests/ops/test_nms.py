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
from operator_cases import BUILT, DTYPES, NMS_KERNELS, THRESHOLDS, box_sets, generator, running, seeds, versions

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


def greedy(boxes, scores, segments, threshold):
    """Greedy NMS over the matrix of all pairs, in numpy: slow and short."""
    order = sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), i))
    pairs = suppresses(boxes, threshold) & (segments[:, None] == segments).numpy()
    alive, kept = np.ones(len(boxes), dtype=bool), []
    for i in order:
        if alive[i]:
            kept.append(i)
            alive &= ~pairs[i]
    return kept


KINDS = ("scattered", "scales", "clusters", "lattice", "tenths", "far", "elongated", "giants", "areas", "overflow")


@st.composite
def crowds(draw):
    """Sets large enough for the spatial cull: boxes (N, 4), scores (N,), segments (N,).

    scattered: pairs of like sizes; scales: sides over nine octaves; clusters: a thousand times their sides apart;
    lattice: many cells, corners on the cells' edges, powers of two as sides; tenths: IoUs that equal thresholds; far:
    coordinates so large that sides round; elongated: the sides of a box are 1 : 64; giants: a few boxes over all the
    others; areas: that are subnormal or round to 0; overflow: areas or their sums that are infinite.
    """
    rng, count, kind = generator(draw(seeds)), draw(st.sampled_from((90, 130, 300, 600))), draw(st.sampled_from(KINDS))
    dtype = torch.float64 if draw(st.integers(0, 3)) == 0 else torch.float32
    corners, shape = torch.rand(2, count, 2, generator=rng, dtype=torch.float64)
    span = draw(st.sampled_from((30.0, 200.0, 1000.0)))
    sides = 10 * torch.exp(0.4 * (shape - 0.5))
    corners = (corners - 0.5) * span
    if kind == "scales":
        sides = sides * 2 ** (9 * shape[:, :1] - 4)
    elif kind == "clusters":
        corners = corners * 0.1 + torch.randint(-3, 4, (count, 1), generator=rng) * 1e6
    elif kind == "lattice":
        corners, sides = (corners / 4).floor() * 4, 2.0 ** (2 + (3 * shape).floor())
    elif kind == "tenths":
        corners, sides = corners.floor() / 2, 10 + (6 * shape).floor()
    elif kind == "far":
        corners = corners + draw(st.sampled_from((-1.0, 1.0))) * (2.0**23 if dtype == torch.float32 else 2.0**52)
    elif kind == "elongated":
        sides = sides * torch.where(shape[:, :1] < 0.5, torch.tensor([8.0, 1 / 8]), torch.tensor([1 / 8, 8.0]))
    elif kind == "giants":
        sides = torch.where(shape[:, :1] < 0.05, span * (0.8 + 0.2 * shape), sides * 0.3)
    boxes = torch.cat((corners, corners + sides), dim=1)
    single = dtype == torch.float32
    if kind == "areas":  # multiples of 2^-150 to 2^-154; the least float is 2^-149 (double: 2^-1074)
        whole = torch.cat(((shape * 20).floor(), (shape * 20).floor() + (sides - 7).floor()), dim=1)
        boxes = whole * 2.0 ** ((-75 if single else -538) - draw(st.integers(0, 2)))
    elif kind == "overflow":
        boxes = boxes * draw(st.sampled_from((4e17, 1e18, 2e18, 3e35) if single else (3e152, 1e153, 1e305)))
    scores, segments = torch.rand(count, generator=rng), torch.randint(-1, 1, (count,), generator=rng)
    scores = (scores * 16).round() / 16 if draw(st.booleans()) else scores
    return boxes.to(dtype), scores, segments * draw(st.integers(0, 1))


@BUILT
@given(crowds(), thresholds)
def test_crowds(boxes_scores_segments, threshold):
    """Every compiled version, beyond the sizes at which boxes are culled by place."""
    boxes, scores, segments = boxes_scores_segments
    expected = greedy(boxes, scores, segments, threshold)
    for version in versions("nms"):
        with running(f"nms v{version}"):
            assert batched_nms(boxes, scores, segments, threshold).tolist() == expected, version


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


@NMS_KERNELS
def test_sizes_around_a_block(kernel):
    """All kept, and all suppressed but one, for counts around the kernels' blocks of boxes."""
    for count in (0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 99, 100, 101, 127, 128, 129, 257):
        apart = torch.arange(count)[:, None] * 3.0 + torch.tensor([0.0, 0.0, 2.0, 2.0])
        scores = torch.linspace(1, 0, count)
        with running(kernel):
            assert nms(apart, scores, 0.0).tolist() == list(range(count))
            assert nms(apart[:1].expand(count, 4), scores, 0.5).tolist() == [0] * (count > 0)
            assert nms(apart[:1].expand(count, 4), scores.flip(0), 0.5).tolist() == [count - 1] * (count > 0)


@NMS_KERNELS
@given(seeds, st.sampled_from(DTYPES), st.sampled_from((0, 1, 50, 150)))
def test_order_is_a_stable_sort(kernel, seed, dtype, count):
    """Empty boxes are all kept, so that only the order is left: of any scores, -0 and 0 equal, within any segments."""
    rng = generator(seed)
    special = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 1e-45, -1e-45, 3e38, -3e38, 1.0, -1.0])
    scores = torch.randn(count, generator=rng, dtype=torch.float64) * 10.0 ** torch.randint(
        -9, 9, (count,), generator=rng
    )
    chosen = special[torch.randint(len(special), (count,), generator=rng)]
    scores = torch.where(torch.rand(count, generator=rng) < 0.3, chosen.double(), scores).to(dtype)
    segments = torch.tensor([0, 1, -1, 2**40, -(2**62)])[torch.randint(5, (count,), generator=rng)]
    expected = torch.sort(scores, descending=True, stable=True).indices
    with running(kernel):
        assert torch.equal(nms(torch.zeros(count, 4), scores, 0.5), expected)
        assert torch.equal(batched_nms(torch.zeros(count, 4), scores, segments, 0.5), expected)


@NMS_KERNELS
@pytest.mark.parametrize("others", [0, 150])
def test_no_fused_multiply_add(kernel, others):
    """At the float that each pair's IoU rounds to, both are kept; at the one below, not. With products fused into the
    sums the IoU of some of these pairs would be another float. With and without other boxes far away."""
    rng, fused_differs = generator(5), 0
    apart = 1e4 + 100 * torch.arange(others)[:, None] + torch.tensor([0.0, 0.0, 9.0, 9.0])
    scores = torch.linspace(1, 0.5, 2 + others)
    for _ in range(30):
        low = torch.rand(2, 2, generator=rng) * 3
        pair = torch.cat((low, low + 7 + torch.rand(2, 2, generator=rng)), dim=1)
        x1, y1, x2, y2 = pair.numpy().T
        inter = (x2.min() - x1.max()) * (y2.min() - y1.max())
        iou = inter / (((x2 - x1) * (y2 - y1)).sum() - inter)
        exact_area = ((x2 - x1).astype(np.float64) * (y2 - y1)).astype(np.float64)
        area = (x2 - x1) * (y2 - y1)
        fused_differs += inter / (np.float32(exact_area[0] + area[1]) - inter) != iou
        boxes = torch.cat((pair, apart))
        with running(kernel):
            assert len(nms(boxes, scores, float(iou))) == 2 + others
            assert len(nms(boxes, scores, float(np.nextafter(iou, np.float32(0))))) == 1 + others
    assert fused_differs > 0


@NMS_KERNELS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_compared_in_float32(kernel, dtype):
    """IoU 2/3 just above and just below the threshold: neither half type holds that many digits."""
    boxes = torch.tensor([[0.0, 0.0, 250.0, 1.0], [50.0, 0.0, 300.0, 1.0]], dtype=dtype)
    with running(kernel):
        for threshold in (0.6666, 0.6667):
            kept = nms(boxes, torch.ones(2, dtype=dtype), threshold)
            assert torch.equal(kept, nms(boxes.float(), torch.ones(2), threshold))
            assert len(kept) == (1 if threshold < 2 / 3 else 2)


@NMS_KERNELS
def test_threshold_0_threshold_1_and_negative_coordinates(kernel):
    boxes = torch.tensor([[-9.0, -9.0, -1.0, -1.0], [-1.001, -1.001, 0.0, 0.0], [-1.0, -1.0, 0.0, 0.0]])
    with running(kernel):
        assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.0).tolist() == [0, 2]
        assert nms(boxes[[0, 2]], torch.tensor([0.9, 0.8]), 0.0).tolist() == [0, 1]  # they only touch
        assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 1.0).tolist() == [0, 1, 2]
        assert nms(boxes - 1000, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 1]


@NMS_KERNELS
def test_areas_that_overflow_or_underflow(kernel):
    """Identical boxes: neither an infinite area nor one of 0 has an IoU; a subnormal one has."""
    for side, kept in ((1e19, 1), (2e19, 2), (1e-19, 1), (1e-22, 1), (1e-23, 2)):
        with running(kernel):
            assert len(nms(torch.tensor([[0.0, 0.0, side, side]] * 2), torch.ones(2), 0.5)) == kept, side
    # Areas of 9/8 of the least float and an intersection of 6/8 all round to 1: IoU 1, though the overlap is 2/3. Two
    # hundred such pairs, apart from each other, on all sides of any cells' edges.
    place = 67 * torch.arange(200.0, dtype=torch.float64)[:, None]
    pairs = torch.cat((place + torch.tensor([0, 0, 3, 3]), place + torch.tensor([1, 0, 4, 3]))) * 2.0**-76
    with running(kernel):
        assert nms(pairs.float(), torch.linspace(1, 0, 400), 0.9).tolist() == list(range(200))
        # Areas that overflow only in the sum: the union is infinite, IoU 0.
        assert len(nms(torch.tensor([[0.0, 0.0, 1.6e19, 1.6e19]] * 2), torch.ones(2), 0.5)) == 2


@NMS_KERNELS
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_coordinates_that_are_not_finite_and_scores_that_are_nan(kernel, bad):
    for dtype in DTYPES:
        for column in range(4):
            boxes = torch.zeros(40, 4, dtype=dtype)
            boxes[37, column] = bad
            with running(kernel), pytest.raises(ValueError, match=r"^boxes"):
                nms(boxes, torch.zeros(40), 0.5)
        scores = torch.zeros(40, dtype=dtype)
        scores[37] = torch.nan
        with running(kernel), pytest.raises(ValueError, match=r"^scores"):
            nms(torch.zeros(40, 4), scores, 0.5)


@BUILT
def test_same_result_for_any_number_of_threads():
    rng, threads = generator(1), torch.get_num_threads()
    boxes = torch.rand(6000, 4, generator=rng) * 20
    boxes[:, 2:] += boxes[:, :2] + 5
    scores, segments = torch.rand(6000, generator=rng), torch.randint(0, 40, (6000,), generator=rng) ** 2 // 99
    try:
        for version in versions("nms"):
            results = []
            for count in (1, 2, 3, 7):
                torch.set_num_threads(count)
                with running(f"nms v{version}"):
                    results.append(batched_nms(boxes, scores, segments, 0.3))
            assert all(torch.equal(result, results[0]) for result in results), version
    finally:
        torch.set_num_threads(threads)


@BUILT
def test_hundred_thousand_boxes_as_by_a_scan():
    rng = generator(2)
    centres = torch.rand(100_000, 2, generator=rng) * torch.tensor([1280.0, 960.0])
    sides = 64 * torch.exp(0.6 * torch.randn(100_000, 2, generator=rng))
    boxes, scores = torch.cat((centres - sides / 2, centres + sides / 2), dim=1), torch.rand(100_000, generator=rng)
    with running("nms v2"):
        scanned = nms(boxes, scores, 0.5)
    for version in versions("nms")[2:]:
        with running(f"nms v{version}"):
            assert torch.equal(nms(boxes, scores, 0.5), scanned)


@BUILT
def test_million_boxes():
    """A lattice of 707 x 707 boxes, and each of them again, shifted by a tenth and with a lower score."""
    y, x = torch.meshgrid(torch.arange(707.0), torch.arange(707.0), indexing="ij")
    lattice = torch.stack((x, y, x + 1, y + 1), dim=2).view(-1, 4) * 10
    rng = generator(3)
    best = 1 + torch.rand(len(lattice), generator=rng)
    boxes, scores = torch.cat((lattice + 1, lattice)), torch.cat((best - 1, best))
    assert len(boxes) == 999_698
    expected = len(lattice) + torch.sort(best, descending=True, stable=True).indices
    assert torch.equal(nms(boxes, scores, 0.5), expected)
    assert torch.equal(batched_nms(boxes, scores, torch.zeros(len(boxes)).long(), 0.5), expected)
