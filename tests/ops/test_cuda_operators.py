"""The CUDA operators: what csrc/cuda/operators.cpp does around the kernels, emulated on the CPU; and all of it on a GPU
where there is one.
"""

import emulated_cuda
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import DTYPES, THRESHOLDS, box_sets, generator, pooling_cases
from test_cuda_kernels import EMULATED, NMS, POOLING, crowd, pooling_case

from fasterfpn import ops
from fasterfpn.ops import backend, reference

# ------------------------------------------------------------------------------------------- emulated on the CPU


@EMULATED
@given(box_sets(DTYPES), st.sampled_from(THRESHOLDS), st.booleans(), st.integers(0, emulated_cuda.VERSIONS["nms"]))
def test_nms_operator(boxes_scores_segments, threshold, batched, version):
    boxes, scores, segments = boxes_scores_segments
    arguments = boxes, scores, segments if batched else None, threshold
    assert torch.equal(emulated_cuda.operators().nms(*arguments, version), reference.nms(*arguments))


@EMULATED
@given(pooling_cases(DTYPES), st.integers(0, emulated_cuda.VERSIONS["roi_max_pool"]), st.booleans())
def test_pooling_operators(case, version, channels_last):
    features, rois, levels, *_ = case
    native = emulated_cuda.operators()
    values, argmax = native.roi_max_pool(*case, True, version)
    expected = reference.roi_max_pool(*case)
    assert torch.equal(values, expected[0]) and torch.equal(argmax, expected[1]) and argmax.dtype == torch.int32
    unrecorded, nothing = native.roi_max_pool(*case, False, version)
    assert torch.equal(unrecorded, values) and nothing.numel() == 0
    ones, shapes = torch.ones(()).to(values.dtype).expand(values.shape), [n for f in features for n in f.shape]
    gradients = native.roi_max_pool_backward(ones, rois, levels, argmax, shapes, case[3], channels_last, version)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    for feature, gradient in zip(features, gradients, strict=True):
        assert gradient.shape == feature.shape and gradient.dtype == feature.dtype
        assert gradient.is_contiguous(memory_format=memory_format)
    assert sum(gradient.double().sum() for gradient in gradients) == (argmax >= 0).sum()


def renamed(good, name, bad):
    return [bad if argument == name else value for argument, value in good.items()]


@EMULATED
@pytest.mark.parametrize(
    "name, bad",
    [
        ("boxes", torch.ones(3, 5)),
        ("boxes", torch.ones(3, 4, dtype=torch.int64)),
        ("scores", torch.ones(2)),
        ("segments", torch.ones(3)),
        ("segments", torch.ones(2, dtype=torch.int64)),
        ("iou_threshold", 1.5),
        ("version", 4),
    ],
)
def test_nms_operator_names_the_bad_argument(name, bad):
    segments = torch.zeros(3, dtype=torch.int64)
    good = dict(boxes=torch.ones(3, 4), scores=torch.ones(3), segments=segments, iou_threshold=0.5, version=0)
    emulated_cuda.operators().nms(*good.values())
    with pytest.raises((ValueError, RuntimeError), match=name):
        emulated_cuda.operators().nms(*renamed(good, name, bad))


@EMULATED
@pytest.mark.parametrize(
    "name, bad",
    [
        ("features", []),
        ("features", [torch.ones(1, 2, 3, 3)] * 17),
        ("features", [torch.ones(1, 2, 3, 3), torch.ones(1, 3, 3, 3)]),
        ("features", [torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 3, dtype=torch.float64)]),
        ("features", [torch.ones(1, 2, 3)]),
        ("rois", torch.ones(2, 4)),
        ("rois", torch.ones(2, 5, dtype=torch.float16)),
        ("levels", torch.zeros(3, dtype=torch.int64)),
        ("levels", torch.zeros(2)),
        ("spatial_scales", [1.0]),
        ("spatial_scales", [1.0, -1.0]),
        ("output_size", 0),
        ("version", -1),
    ],
)
def test_pooling_operator_names_the_bad_argument(name, bad):
    maps, levels = [torch.ones(1, 2, 3, 3), torch.ones(1, 2, 2, 2)], torch.zeros(2, dtype=torch.int64)
    good = dict(features=maps, rois=torch.zeros(2, 5), levels=levels, spatial_scales=[1.0, 0.5], output_size=2)
    good |= dict(with_argmax=True, version=0)
    emulated_cuda.operators().roi_max_pool(*good.values())
    with pytest.raises((ValueError, RuntimeError), match=name):
        emulated_cuda.operators().roi_max_pool(*renamed(good, name, bad))


@EMULATED
@pytest.mark.parametrize(
    "name, bad",
    [
        ("grad", torch.ones(2, 3, 2, 2)),
        ("grad", torch.ones(3, 2, 2, 2)),
        ("grad", torch.ones(2, 2, 2, 2, dtype=torch.int32)),
        ("argmax", torch.zeros(2, 2, 2, 1, dtype=torch.int32)),
        ("argmax", torch.zeros(2, 2, 2, 2)),
        ("feature_shapes", []),
        ("feature_shapes", [1, 2, 3]),
        ("feature_shapes", [1, 2, 3, 3, 1, 3, 2, 2]),
        ("feature_shapes", [1, 2, 3, -3]),
        ("feature_shapes", [1, 2, 3, 3] * 17),
        ("rois", torch.zeros(2, 4)),
        ("levels", torch.zeros(2)),
        ("spatial_scales", [0.5, 0.5]),
        ("spatial_scales", [float("inf")]),
        ("version", 4),
    ],
)
def test_backward_operator_names_the_bad_argument(name, bad):
    good = dict(grad=torch.ones(2, 2, 2, 2), rois=torch.zeros(2, 5), levels=torch.zeros(2, dtype=torch.int64))
    good |= dict(argmax=torch.zeros(2, 2, 2, 2, dtype=torch.int32), feature_shapes=[1, 2, 3, 3])
    good |= dict(spatial_scales=[0.5], channels_last=False, version=0)
    emulated_cuda.operators().roi_max_pool_backward(*good.values())
    with pytest.raises((ValueError, RuntimeError), match=name):
        emulated_cuda.operators().roi_max_pool_backward(*renamed(good, name, bad))


# ------------------------------------------------------------------------------------------------------- on a GPU

DEVICES = torch.cuda.device_count() if torch.cuda.is_available() and backend.is_native("nms", "cuda") else 0
needs_gpu = pytest.mark.skipif(DEVICES == 0, reason="no GPU, or no CUDA kernels")


def on_gpu(case, device="cuda"):
    return [
        [x.to(device) for x in value]
        if isinstance(value, list) and torch.is_tensor(value[0])
        else value.to(device)
        if torch.is_tensor(value)
        else value
        for value in case
    ]


@pytest.mark.cuda
@needs_gpu
@NMS
@given(box_sets(DTYPES), st.sampled_from(THRESHOLDS), st.booleans())
def test_nms_on_a_gpu(version, boxes_scores_segments, threshold, batched):
    boxes, scores, segments = boxes_scores_segments
    arguments = boxes, scores, segments if batched else None, threshold
    kept = torch.ops.fasterfpn.nms(*on_gpu(arguments), version)
    assert kept.is_cuda and torch.equal(kept.cpu(), reference.nms(*arguments))


@pytest.mark.cuda
@needs_gpu
@NMS
@pytest.mark.parametrize("count", [1023, 1024, 1025, 5000, 20_000])
def test_nms_of_many_boxes_on_a_gpu(version, count):
    boxes, scores, segments = crowd(count, count)
    boxes[:, ::2], boxes[:, 1::2] = (
        boxes[:, ::2] + 1000 * torch.rand(count, 1),
        boxes[:, 1::2] + 1000 * torch.rand(count, 1),
    )
    for arguments in ((boxes, scores, None, 0.5), (boxes, scores, segments, 0.5)):
        expected = torch.ops.fasterfpn.nms(*arguments, 0)
        assert torch.equal(torch.ops.fasterfpn.nms(*on_gpu(arguments), version).cpu(), expected)


@pytest.mark.cuda
@needs_gpu
def test_nms_of_200_000_boxes_takes_less_than_a_gigabyte():
    rng = generator(0)
    corners = torch.rand(200_000, 2, generator=rng) * 5000
    boxes = torch.cat((corners, corners + torch.rand(200_000, 2, generator=rng) * 40 + 1), dim=1)
    scores = torch.rand(200_000, generator=rng)
    expected, given_boxes, given_scores = ops.nms(boxes, scores, 0.5), boxes.cuda(), scores.cuda()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    assert torch.equal(ops.nms(given_boxes, given_scores, 0.5).cpu(), expected)
    assert torch.cuda.max_memory_allocated() - before < 1e9


@pytest.mark.cuda
@needs_gpu
@POOLING
@given(pooling_cases(DTYPES), st.booleans())
def test_pooling_on_a_gpu(version, case, channels_last):
    features, rois, levels, *_ = case
    values, argmax = torch.ops.fasterfpn.roi_max_pool(*on_gpu(case), True, version)
    expected = reference.roi_max_pool(*case)
    assert torch.equal(values.cpu(), expected[0]) and torch.equal(argmax.cpu(), expected[1])
    upstream = torch.randint(-2, 3, values.shape, generator=generator(0)).to(values.dtype)
    shapes = [n for feature in features for n in feature.shape]
    arguments = upstream, rois, levels, expected[1], shapes, case[3], channels_last
    gradients = torch.ops.fasterfpn.roi_max_pool_backward(*on_gpu(arguments), version)
    for gradient, wanted in zip(gradients, torch.ops.fasterfpn.roi_max_pool_backward(*arguments, 0), strict=True):
        assert torch.equal(gradient.cpu(), wanted)


@pytest.mark.cuda
@needs_gpu
@POOLING
@pytest.mark.parametrize("dtype", DTYPES)
def test_backward_is_deterministic_on_a_gpu(version, dtype):
    features, rois, levels, scales, size = pooling_case(128, [(80, 80), (40, 40), (20, 20)], 500, 7, dtype)
    features = [f.cuda().contiguous(memory_format=torch.channels_last).requires_grad_() for f in features]
    upstream = torch.randn(500, 128, 7, 7, generator=generator(1)).to(dtype).cuda()
    with ops.use_backend("native", roi_max_pool=version):
        values = ops.multiscale_roi_max_pool(features, rois.cuda(), levels.cuda(), scales, size)
    first = torch.autograd.grad(values, features, upstream, retain_graph=True)
    for _ in range(5):
        again = torch.autograd.grad(values, features, upstream, retain_graph=True)
        assert all(map(torch.equal, first, again))


@pytest.mark.cuda
@needs_gpu
def test_a_bad_roi_on_a_gpu_is_zeros_and_never_an_error():
    features, rois, levels, scales, size = pooling_case(3, [(9, 8), (5, 4)], 12, 3)
    rois[0, 0], rois[1, 0], rois[2, 3], levels[3] = 7, torch.nan, torch.inf, 5
    values, _ = torch.ops.fasterfpn.roi_max_pool(*on_gpu((features, rois, levels, scales, size)), True, 0)
    assert not values[:4].any() and values[4:].any()


@pytest.mark.cuda
@needs_gpu
def test_the_current_stream_is_used():
    """On a stream that first waits long, then writes the boxes: the result is that of the written ones."""
    boxes, scores, _ = crowd(1000, 0)
    expected, stream = ops.nms(boxes, scores, 0.3), torch.cuda.Stream()
    given_boxes, given_scores = torch.zeros(1000, 4, device="cuda"), scores.cuda()
    source = boxes.cuda()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        given_boxes.copy_(source)
        kept = ops.nms(given_boxes, given_scores, 0.3)
    stream.synchronize()
    assert torch.equal(kept.cpu(), expected)


@pytest.mark.cuda
@needs_gpu
@pytest.mark.skipif(DEVICES < 2, reason="one GPU")
def test_the_second_device():
    boxes, scores, _ = crowd(500, 0)
    case = pooling_case(3, [(9, 8), (5, 4)], 12, 3)
    with torch.cuda.device(0):
        kept = ops.nms(boxes.to("cuda:1"), scores.to("cuda:1"), 0.5)
        values = ops.multiscale_roi_max_pool(*on_gpu(case, "cuda:1"))
    assert kept.device == values.device == torch.device("cuda:1")
    assert torch.equal(kept.cpu(), ops.nms(boxes, scores, 0.5))
    assert torch.equal(values.cpu(), ops.multiscale_roi_max_pool(*case))
    with pytest.raises((ValueError, RuntimeError), match="scores"):
        ops.nms(boxes.to("cuda:0"), scores.to("cuda:1"), 0.5)
