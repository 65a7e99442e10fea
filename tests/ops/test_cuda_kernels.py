"""Every version of every CUDA kernel against the reference, emulated on the CPU.

The emulation runs the very same .cu files, with the threads in order and shuffled; `emulated_cuda` builds it.
"""

import emulated_cuda
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import DTYPES, THRESHOLDS, box_sets, generator, newest_first, pooling_cases, seeds

from fasterfpn.ops import reference

EMULATED = pytest.mark.skipif(not emulated_cuda.COMPILER, reason="no g++ to build the emulation")
NMS = pytest.mark.parametrize("version", newest_first(emulated_cuda.VERSIONS["nms"]))
POOLING = pytest.mark.parametrize("version", newest_first(emulated_cuda.VERSIONS["roi_max_pool"]))
thread_seeds = st.sampled_from((0, 1)) | seeds  # 0: in order

# ---------------------------------------------------------------------------------------- non-maximum suppression


@EMULATED
@NMS
@given(box_sets(DTYPES), st.sampled_from(THRESHOLDS) | st.floats(0, 1), st.booleans(), thread_seeds)
def test_nms_equals_reference(version, boxes_scores_segments, threshold, batched, seed):
    boxes, scores, segments = boxes_scores_segments
    arguments = boxes, scores, segments if batched else None, threshold
    expected = reference.nms(*arguments)
    assert torch.equal(emulated_cuda.nms(*arguments, version, seed, chunk=64), expected)


def crowd(count, seed, dtype=torch.float32):
    """Boxes of which most overlap some, scores with ties, and a few segments of unequal size."""
    rng = generator(seed)
    corners, sides = torch.rand(2, count, 2, generator=rng, dtype=torch.float64)
    boxes = torch.cat((corners * 100, corners * 100 + sides * 20 + 5), dim=1).to(dtype)
    scores = (torch.rand(count, generator=rng) * 500).round() / 500
    return boxes, scores, (torch.rand(count, generator=rng) ** 3 * 5).long()


@EMULATED
@NMS
@pytest.mark.parametrize("chunk", [64, 128, 1024])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("seed", emulated_cuda.SEEDS)
def test_nms_over_many_chunks(version, chunk, batched, seed):
    """Chains of suppression that cross words and chunks, segments that end within and beyond a chunk."""
    count = 1100 if chunk == 1024 else 333
    boxes, scores, segments = crowd(count, count + seed)
    arguments = boxes, scores, segments if batched else None
    for threshold in (0.1, 0.5):
        expected = reference.nms(*arguments, threshold)
        assert 0.05 * count < len(expected) < 0.95 * count
        assert torch.equal(emulated_cuda.nms(*arguments, threshold, version, seed, chunk), expected)


@EMULATED
@NMS
@pytest.mark.parametrize("seed", emulated_cuda.SEEDS)
def test_nms_of_a_chain_of_boxes(version, seed):
    """Each box overlaps the next only: every second one is kept, and each waits for the one before it."""
    x = torch.arange(200.0)[:, None]
    boxes = torch.cat((x, torch.zeros_like(x), x + 2, torch.ones_like(x)), dim=1)
    kept = emulated_cuda.nms(boxes, -x[:, 0], None, 0.3, version, seed, chunk=64)
    assert kept.tolist() == list(range(0, 200, 2))


@EMULATED
@NMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nms_at_the_very_threshold(version, dtype):
    """A pair is suppressed at the number below its IoU as the reference rounds it, and not at its IoU."""
    first = torch.rand(60, 4, generator=generator(0), dtype=dtype) + torch.tensor([0, 0, 3, 3], dtype=dtype)
    second = torch.rand(60, 4, generator=generator(1), dtype=dtype) + torch.tensor([0, 0, 3, 3], dtype=dtype)
    for pair in torch.stack((first, second), dim=1):
        iou = reference.iou(pair[:1], pair[1:])
        for threshold, kept in ((iou, 2), (iou.nextafter(torch.zeros_like(iou)), 1)):
            assert len(emulated_cuda.nms(pair, torch.ones(2), None, threshold.item(), version, chunk=64)) == kept


@EMULATED
@NMS
@given(seeds, st.booleans(), thread_seeds)
def test_nms_of_what_is_no_number(version, rng_seed, batched, seed):
    """A box with a coordinate that is not finite is kept and suppresses nothing; a NaN score counts as the highest."""
    boxes, scores, segments = crowd(40, rng_seed)
    rng = generator(rng_seed)
    special = torch.tensor([torch.nan, torch.inf, -torch.inf])[torch.randint(3, (40, 4), generator=rng)]
    boxes = torch.where(torch.rand(40, 4, generator=rng) < 0.1, special, boxes)
    scores = torch.where(torch.rand(40, generator=rng) < 0.2, torch.nan, scores)
    finite = boxes.isfinite().all(1)
    kept = emulated_cuda.nms(boxes, scores, segments if batched else None, 0.3, version, seed, chunk=64)
    assert set((~finite).nonzero().flatten().tolist()) <= set(kept.tolist())
    members, ranks = finite.nonzero().flatten(), scores.nan_to_num(2.0)
    expected = reference.nms(boxes[members], ranks[members], segments[members] if batched else None, 0.3)
    assert kept[finite[kept]].tolist() == members[expected].tolist()
    assert ranks[kept].tolist() == sorted(ranks[kept].tolist(), reverse=True)


@EMULATED
def test_nms_workspace_is_bounded():
    """200,000 boxes need no more than 1 GB but in the first version, whose masks grow with the square."""
    for version in (2, 3):
        assert emulated_cuda.nms_workspace(200_000, True, True, version) < 50e6
        assert emulated_cuda.nms_workspace(1_000_000, True, True, version) < 250e6
    assert emulated_cuda.nms_workspace(200_000, False, False, 1) > 200_000**2 / 8


# ------------------------------------------------------------------------------------------------ RoI max pooling


@EMULATED
@POOLING
@given(pooling_cases(DTYPES), thread_seeds, st.booleans())
def test_pooling_equals_reference(version, case, seed, large):
    values, argmax = emulated_cuda.roi_max_pool(*case, True, version, seed, large)
    expected_values, expected_argmax = reference.roi_max_pool(*case)
    assert torch.equal(values, expected_values)
    assert torch.equal(argmax.long(), expected_argmax.long())
    unrecorded, nothing = emulated_cuda.roi_max_pool(*case, False, version, seed)
    assert nothing is None and torch.equal(unrecorded, values)
    upstream = torch.randint(-2, 3, values.shape, generator=generator(seed)).to(values.dtype)
    check_gradients(version, case, upstream, argmax, seed, exact=True)


def check_gradients(version, case, upstream, argmax, seed, exact):
    """Against sums in float64; small integers add up exactly in every type."""
    features, rois, levels, *_ = case
    given = upstream, rois, levels, argmax, [feature.shape for feature in features]
    expected = sums_of_gradients(*given)
    for channels_last in (False, True):
        gradients = emulated_cuda.roi_max_pool_backward(*given, channels_last, version, seed)
        again = emulated_cuda.roi_max_pool_backward(*given, channels_last, version, seed + 1)
        for gradient, second, sums in zip(gradients, again, expected, strict=True):
            assert torch.equal(gradient, second)  # whatever the order of threads and blocks
            assert torch.allclose(gradient.double(), sums, rtol=0 if exact else 1e-5, atol=0)


def sums_of_gradients(upstream, rois, levels, argmax, shapes):
    """The gradients of the levels, in float64."""
    gradients = []
    for level, shape in enumerate(shapes):
        sums = torch.zeros(shape, dtype=torch.float64).flatten(2)
        for r in (levels == level).nonzero().flatten().tolist():
            taken = (argmax[r] >= 0).flatten(1)
            source = (upstream[r].double().flatten(1) * taken).nan_to_num()
            if sums.shape[2]:
                sums[int(rois[r, 0])].scatter_add_(1, argmax[r].long().flatten(1).clamp(min=0), source)
        gradients.append(sums.view(shape))
    return gradients


def pooling_case(channels, sizes, count, size, dtype=torch.float32, seed=0):
    rng = generator(seed)
    features = [torch.randn(2, channels, *s, generator=rng).round(decimals=1).to(dtype) for s in sizes]
    levels = torch.randint(len(sizes), (count,), generator=rng)
    scales = [1 / 2**level for level in range(len(sizes))]
    corners = torch.rand(count, 2, 2, generator=rng) * sizes[0][0]
    rois = torch.cat((torch.randint(2, (count, 1), generator=rng), corners.amin(1), corners.amax(1)), dim=1)
    return features, rois, levels, scales, size


@EMULATED
@POOLING
@pytest.mark.parametrize("seed", emulated_cuda.SEEDS)
@pytest.mark.parametrize(
    "channels, sizes, count, size",
    [
        (33, [(20, 18), (10, 9)], 70, 7),  # more than a warp of channels, of RoIs and of tiles
        (64, [(17, 8)], 5, 9),  # more bins than are staged at once; tiles cut by the edge
        (3, [(40, 41)], 9, 17),  # more bins than a block of find_reaches has threads
    ],
)
def test_pooling_beyond_one_block(version, seed, channels, sizes, count, size):
    case = pooling_case(channels, sizes, count, size, seed=seed)
    for large in (False, True):
        values, argmax = emulated_cuda.roi_max_pool(*case, True, version, seed, large)
        expected_values, expected_argmax = reference.roi_max_pool(*case)
        assert torch.equal(values, expected_values) and torch.equal(argmax.long(), expected_argmax.long())
    upstream = torch.randint(-2, 3, values.shape, generator=generator(seed)).float()
    check_gradients(version, case, upstream, argmax, seed, exact=True)
    check_gradients(version, case, torch.rand(values.shape, generator=generator(seed)), argmax, seed, exact=False)


@EMULATED
@POOLING
@pytest.mark.parametrize("seed", emulated_cuda.SEEDS)
@pytest.mark.parametrize("wide", [torch.float32, torch.float64])
def test_a_bad_roi_gives_zeros_and_reads_nothing(version, seed, wide):
    features, rois, levels, scales, size = pooling_case(3, [(9, 8), (5, 4)], 12, 3)
    rois = rois.to(wide)
    good = torch.arange(12) >= 9
    for r, (column, bad) in enumerate([(0, -1), (0, 2), (0, 0.5), (0, torch.nan), (1, torch.nan), (4, torch.inf)]):
        rois[r, column] = bad
    rois[6, 0], levels[7], levels[8] = 1e30, -1, 2
    values, argmax = emulated_cuda.roi_max_pool(features, rois, levels, scales, size, True, version, seed)
    expected = reference.roi_max_pool(features, rois[good], levels[good], scales, size)
    assert torch.equal(values[good], expected[0]) and torch.equal(argmax[good], expected[1])
    assert not values[~good].any() and (argmax[~good] == -1).all()
    shapes, ones = [feature.shape for feature in features], torch.ones_like(values)
    wild = argmax.clone()
    wild[~good], wild[9, 0, 0] = 0, torch.tensor([-2, 2**31 - 1, 72 if levels[9] == 0 else 20], dtype=torch.int32)
    for channels_last in (False, True):
        gradients = emulated_cuda.roi_max_pool_backward(ones, rois, levels, wild, shapes, channels_last, version, seed)
        assert sum(gradient.sum() for gradient in gradients) == (wild[good] >= 0).sum() - 2


@EMULATED
@POOLING
def test_corners_are_clamped_to_2_24_cells(version):
    """From 10 - 2^24 to 2^24 in two bins: the middle, in float32 cell 6, is on the map."""
    ramp, roi = torch.arange(10.0).view(1, 1, 1, 10), torch.tensor([[0.0, 10 - 2.0**24, 0.0, 1e30, 0.0]])
    values, _ = emulated_cuda.roi_max_pool([ramp], roi, torch.zeros(1).long(), [1.0], 2, True, version)
    assert values[0, 0, 0].tolist() == [5, 9]


@EMULATED
@POOLING
def test_pooling_beyond_2_31_cells(version):
    """One number in memory for all cells; the last is reached, and the arg-max says so."""
    side = 46341
    feature = torch.ones(1, 1, 1, 1).expand(1, 1, side, side)
    rois = torch.tensor([[0.0, side, side, side, side], [0.0, side - 1, side - 1, side - 1, side - 1]])
    values, argmax = emulated_cuda.roi_max_pool(
        [feature], rois, torch.zeros(2).long(), [1.0], 1, True, version, 0, True
    )
    assert values.flatten().tolist() == [0, 1]
    assert argmax.flatten().tolist() == [-1, side * side - 1]


@EMULATED
def test_half_types_widen_exactly():
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    half, bfloat16 = torch.empty(2, len(bits))
    emulated_cuda.load().emulated_widen(
        *(emulated_cuda.pointer(bits.data_ptr()), emulated_cuda.i64(len(bits))),
        *(emulated_cuda.pointer(half.data_ptr()), emulated_cuda.pointer(bfloat16.data_ptr())),
    )
    for result, dtype in ((half, torch.float16), (bfloat16, torch.bfloat16)):
        assert torch.equal(result.nan_to_num(7.0), bits.view(dtype).float().nan_to_num(7.0))
        assert torch.equal(result.isnan(), bits.view(dtype).isnan())
        assert torch.equal(result.signbit(), bits.view(dtype).signbit())


# ------------------------------------------------------------------------------------------- the emulation itself


@pytest.fixture(scope="module")
def misuse():
    path = emulated_cuda.compile_library(emulated_cuda.CSRC, [emulated_cuda.EMULATION / "misuse.cpp"])
    function = emulated_cuda.ctypes.CDLL(str(path)).misuse
    function.restype = emulated_cuda.ctypes.c_char_p
    return function


@EMULATED
@pytest.mark.slow
@pytest.mark.parametrize("seed", emulated_cuda.SEEDS)
@pytest.mark.parametrize(
    "which, message",
    [
        (0, "not all threads reach the same barrier"),
        (1, "not all threads reach the same barrier"),
        (2, "not all threads reach the same barrier or vote"),
        (3, "a vote without all lanes"),
        (4, "no multiple of 32"),
        *[(which, "invalid configuration argument") for which in (5, 6, 7, 8)],
    ],
)
def test_the_emulation_refuses_what_a_gpu_would_hang_on(misuse, which, message, seed):
    for _ in range(2):  # and goes on after it
        assert message in misuse(which, emulated_cuda.ctypes.c_uint64(seed), None).decode()


@EMULATED
@pytest.mark.slow
@pytest.mark.parametrize("seed", emulated_cuda.SEEDS)
def test_votes_shuffles_and_atomics(misuse, seed):
    out = torch.zeros(64, dtype=torch.int32)
    assert misuse(9, emulated_cuda.ctypes.c_uint64(seed), emulated_cuda.pointer(out.data_ptr())) is None
    exchanged = sum((lane ^ 1) - lane for lane in range(32))
    assert (out == 2 * (32 * 3 + exchanged + sum(range(1, 32)) + 31) + 3).all()
