"""The operators as torch operators, the choice of back end, and what is refused."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from operator_cases import BACKENDS, BUILT, DTYPES, generator

from fasterfpn import ops
from fasterfpn.ops import backend as choice

rng = generator(0)
BOXES = torch.tensor([[0.0, 0.0, 9.0, 9.0], [1.0, 1.0, 9.0, 9.0], [20.0, 20.0, 30.0, 30.0]])
SCORES, SEGMENTS = torch.tensor([0.5, 0.9, 0.1]), torch.tensor([0, 0, 1])
FEATURES = [torch.randn(2, 3, n, n + 1, generator=rng).contiguous(memory_format=torch.channels_last) for n in (8, 4)]
ROIS = torch.tensor([[0.0, 0.0, 0.0, 20.0, 20.0], [1.0, 3.0, 5.0, 30.0, 9.0], [1.0, 0.0, 0.0, 8.0, 8.0]])
LEVELS, SCALES = torch.tensor([0, 1, 0]), [0.25, 0.125]


def tracked():
    return [feature.clone().requires_grad_() for feature in FEATURES]


@BUILT
@pytest.mark.parametrize("segments", [None, SEGMENTS])
def test_opcheck_nms(segments):
    torch.library.opcheck(torch.ops.fasterfpn.nms.default, (BOXES, SCORES, segments, 0.5, 0))


@BUILT
@pytest.mark.parametrize("with_argmax", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_opcheck_roi_max_pool(with_argmax, memory_format):
    features = [f.contiguous(memory_format=memory_format).requires_grad_(with_argmax) for f in FEATURES]
    arguments = features, ROIS, LEVELS, SCALES, 2, with_argmax, 0
    torch.library.opcheck(torch.ops.fasterfpn.roi_max_pool.default, arguments)


@BUILT
@pytest.mark.parametrize("channels_last", [True, False])
def test_opcheck_roi_max_pool_backward(channels_last):
    values, argmax = torch.ops.fasterfpn.roi_max_pool(FEATURES, ROIS, LEVELS, SCALES, 2, True, 0)
    shapes = [size for feature in FEATURES for size in feature.shape]
    arguments = torch.ones_like(values), ROIS, LEVELS, argmax, shapes, SCALES, channels_last, 0
    torch.library.opcheck(torch.ops.fasterfpn.roi_max_pool_backward.default, arguments)


@BUILT
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_without_a_graph_break(dynamic):
    def pooled(features, rois, levels):
        return ops.multiscale_roi_max_pool([2 * feature for feature in features], rois, levels, SCALES, 3).sin()

    compiled = torch.compile(pooled, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for count in (3, 2):
        features = tracked()
        arguments = features, ROIS[:count], LEVELS[:count]
        values, expected = compiled(*arguments), pooled(*arguments)
        assert torch.equal(values, expected)
        gradients, expected = (torch.autograd.grad(v.sum(), features) for v in (values, expected))
        assert all(map(torch.equal, gradients, expected))


@BUILT
def test_nms_compiles_with_a_size_that_depends_on_the_boxes():
    def kept(boxes, scores):
        return boxes[ops.nms(boxes, scores, 0.5)] + 1

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(kept, fullgraph=True, backend="aot_eager")
        assert torch.equal(compiled(BOXES, SCORES), kept(BOXES, SCORES))


@BUILT
def test_second_derivative_is_refused_not_wrong():
    features = tracked()
    values = ops.multiscale_roi_max_pool(features, ROIS, LEVELS, SCALES, 2)
    upstream = torch.ones_like(values, requires_grad=True)
    gradient, _ = torch.autograd.grad(values, features, upstream, create_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        gradient.sum().backward()
    features, arguments = tracked(), (ROIS, LEVELS, SCALES, 2, False, 0)
    with pytest.raises(RuntimeError, match="with_argmax"):
        torch.ops.fasterfpn.roi_max_pool(features, *arguments)[0].sum().backward()


@BACKENDS
def test_deterministic_algorithms(backend):
    features = tracked()
    torch.use_deterministic_algorithms(True)
    try:
        with ops.use_backend(backend):
            ops.multiscale_roi_max_pool(features, ROIS, LEVELS, SCALES).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert features[0].grad.sum() == 2 * 3 * 49


@BACKENDS
def test_autocast_leaves_rois_alone(backend):
    """x = 301 is no bfloat16 (300 and 302 are): rounded RoIs would take other cells."""
    ramp = torch.arange(400.0).expand(1, 1, 2, 400)
    rois = torch.tensor([[0.0, 0.0, 0.0, 301.0, 0.0]])
    with ops.use_backend(backend), torch.autocast("cpu", torch.bfloat16):
        assert ops.roi_max_pool(ramp, rois, 1.0, 1).item() == 301
        half = ops.roi_max_pool(ramp.bfloat16(), rois, 1.0, 1)
    assert half.dtype == torch.bfloat16


@BACKENDS
@pytest.mark.parametrize("dtype", DTYPES)
def test_rois_of_any_float_type(backend, dtype):
    with ops.use_backend(backend):
        values = ops.multiscale_roi_max_pool(FEATURES, ROIS.to(dtype), LEVELS, SCALES, 2)
        assert torch.equal(values, ops.multiscale_roi_max_pool(FEATURES, ROIS, LEVELS, SCALES, 2))


def changed(tensor, index, value):
    tensor = tensor.clone()
    tensor[index] = value
    return tensor


META = {"device": "meta"}
BAD_NMS = [
    ("boxes", dict(boxes=BOXES.numpy())),
    ("boxes", dict(boxes=BOXES.tolist())),
    ("scores", dict(scores=SCORES.tolist())),
    ("segments", dict(segments=SEGMENTS.numpy())),
    *[("iou_threshold", dict(iou_threshold=bad)) for bad in (None, "0.5", [0.5])],
    ("boxes", dict(boxes=BOXES[:, :3])),
    ("boxes", dict(boxes=BOXES[0])),
    ("boxes", dict(boxes=BOXES.long())),
    ("boxes", dict(boxes=changed(BOXES, (1, 2), torch.nan))),
    ("boxes", dict(boxes=changed(BOXES, (1, 2), torch.inf))),
    ("scores", dict(scores=SCORES[:2])),
    ("scores", dict(scores=SCORES[:, None])),
    ("scores", dict(scores=SCORES.long())),
    ("scores", dict(scores=changed(SCORES, 1, torch.nan))),
    ("scores", dict(scores=torch.empty(3, **META))),
    ("segments", dict(segments=SEGMENTS[:2])),
    ("segments", dict(segments=SEGMENTS.int())),
    ("segments", dict(segments=torch.empty(3, dtype=torch.int64, **META))),
    ("iou_threshold", dict(iou_threshold=-0.1)),
    ("iou_threshold", dict(iou_threshold=1.1)),
    ("iou_threshold", dict(iou_threshold=float("nan"))),
]
BAD_POOLING = [
    *[("features", dict(features=bad)) for bad in (None, FEATURES[0], iter(FEATURES), {"p2": FEATURES[0]})],
    ("features", dict(features=[f.numpy() for f in FEATURES])),
    ("rois", dict(rois=ROIS.numpy())),
    ("rois", dict(rois=ROIS.tolist())),
    ("rois", dict(rois=[ROIS[:, 1:]])),
    ("rois", dict(rois=[ROIS[:, 1:], ROIS])),
    ("rois", dict(rois=[ROIS[:, 1:], ROIS[:, 1:].long()])),
    ("levels", dict(levels=LEVELS.tolist())),
    *[("spatial_scales", dict(spatial_scales=bad)) for bad in (None, 0.25, [0.25, "0.125"], [0.25, None])],
    *[("output_size", dict(output_size=bad)) for bad in (None, 2.0, "7", (7, 8), (7,) * 3, (), [2.0, 2.0], (0, 0), -7)],
    ("features", dict(features=[])),
    ("features", dict(features=[FEATURES[0], FEATURES[1][0]])),
    ("features", dict(features=[FEATURES[0], FEATURES[1][:1]])),
    ("features", dict(features=[FEATURES[0], FEATURES[1][:, :1]])),
    ("features", dict(features=[FEATURES[0], FEATURES[1].double()])),
    ("features", dict(features=[f.long() for f in FEATURES])),
    ("features", dict(features=[FEATURES[0], torch.empty(2, 3, 4, 5, **META)])),
    ("rois", dict(rois=ROIS[:, :4])),
    ("rois", dict(rois=ROIS[0])),
    ("rois", dict(rois=ROIS.long())),
    ("rois", dict(rois=torch.empty(3, 5, **META))),
    *[("rois", dict(rois=changed(ROIS, (1, 3), bad))) for bad in (torch.nan, torch.inf, -torch.inf)],
    *[("rois", dict(rois=changed(ROIS, (2, 0), bad))) for bad in (-1, 2, 0.5, 1e30, torch.nan)],
    ("levels", dict(levels=LEVELS[:2])),
    ("levels", dict(levels=LEVELS.int())),
    ("levels", dict(levels=torch.empty(3, dtype=torch.int64, **META))),
    *[("levels", dict(levels=changed(LEVELS, 0, bad))) for bad in (-1, 2, 2**62)],
    ("spatial_scales", dict(spatial_scales=[0.25])),
    *[("spatial_scales", dict(spatial_scales=[0.25, bad])) for bad in (0.0, -1.0, float("inf"), float("nan"))],
    ("output_size", dict(output_size=0)),
]
GOOD_NMS = dict(boxes=BOXES, scores=SCORES, segments=SEGMENTS, iou_threshold=0.5)
GOOD_POOLING = dict(features=FEATURES, rois=ROIS, levels=LEVELS, spatial_scales=SCALES, output_size=2)


def uses_meta(arguments):
    flat = [x for value in arguments.values() for x in (value if isinstance(value, list) else [value])]
    return any(isinstance(x, torch.Tensor) and x.is_meta for x in flat)


@BACKENDS
@pytest.mark.parametrize("name, bad", BAD_NMS)
def test_nms_names_the_bad_argument(backend, name, bad):
    with ops.use_backend(backend), pytest.raises(ValueError, match=f"^{name}"):
        ops.batched_nms(**GOOD_NMS | bad)


@BACKENDS
@pytest.mark.parametrize("name, bad", BAD_POOLING)
def test_pooling_names_the_bad_argument(backend, name, bad):
    with ops.use_backend(backend), pytest.raises(ValueError, match=f"^{name}"):
        ops.multiscale_roi_max_pool(**GOOD_POOLING | bad)


@BACKENDS
@pytest.mark.parametrize("size", [(2, 2), [2, 2], torch.Size((2, 2)), (np.int64(2), 2), np.int32(2), torch.tensor(2)])
def test_output_size_is_an_integer_or_a_pair(backend, size):
    expected = ops.multiscale_roi_max_pool(**GOOD_POOLING)
    with ops.use_backend(backend):
        assert torch.equal(ops.multiscale_roi_max_pool(**GOOD_POOLING | {"output_size": size}), expected)
        assert ops.roi_max_pool(FEATURES[0], ROIS, np.float32(0.25), size).shape == (3, 3, 2, 2)


@BACKENDS
@pytest.mark.parametrize("dtype", DTYPES)
def test_rois_image_by_image(backend, dtype):
    """As torchvision takes them: image 0's boxes, then image 1's. In bfloat16 there would be no index 257."""
    feature = torch.arange(300.0).view(300, 1, 1, 1).to(torch.float64)
    boxes = [torch.zeros(int(image in (0, 257)), 4, dtype=dtype) for image in range(300)]
    with ops.use_backend(backend):
        assert ops.roi_max_pool(feature, boxes, 1.0, 1).flatten().tolist() == [0, 257]
        both = ops.multiscale_roi_max_pool(FEATURES, [ROIS[:1, 1:], ROIS[1:, 1:]], LEVELS, SCALES, 2)
        assert torch.equal(both, ops.multiscale_roi_max_pool(**GOOD_POOLING))


@BUILT
def test_a_refused_argument_is_a_value_error_and_nothing_else_is(monkeypatch):
    """Whatever torch makes of a kernel's exception: ValueError up to 2.13, later RuntimeError. The line is the same."""
    line = "boxes: coordinates must be finite"
    bad = changed(BOXES, (1, 2), torch.nan), SCORES, None, 0.5, 0
    with pytest.raises(ValueError) as refused:
        choice.call("nms", *bad)
    assert str(refused.value) == line

    def fails_with(error):
        def operator(*_):
            raise error

        operator.default = torch.ops.fasterfpn.nms.default
        monkeypatch.setattr(torch.ops.fasterfpn, "nms", operator)

    fails_with(RuntimeError(f"{line}\nException raised from check at nms.cpp:1 (most recent call first):"))
    with pytest.raises(ValueError) as refused:
        choice.call("nms", *bad)
    assert str(refused.value) == line
    for other in (
        "CUDA error: out of memory",
        "fasterfpn: CUDA kernel visit: no boxes: none",
        "boxesX: bad",
        "rois: bad",
    ):
        fails_with(RuntimeError(other))
        with pytest.raises(RuntimeError, match="^" + other):
            choice.call("nms", *bad)


@BUILT
@pytest.mark.parametrize("kernel, device", [(kernel, device) for kernel in choice.KERNELS for device in choice.DEVICES])
def test_the_library_names_its_versions(kernel, device):
    names = choice.versions(kernel, device)
    assert len(names) >= 3 and len(set(names)) == len(names) and all(names)
    assert choice.versions(kernel, "tpu") == [] and choice.versions("conv", device) == []
    if device == "cpu":
        for version, fails in ((0, False), (len(names), False), (len(names) + 1, True), (-1, True)):
            with ops.use_backend("native", **{kernel: version}), contextlib.ExitStack() as stack:
                if fails:
                    stack.enter_context(pytest.raises(ValueError, match=r"^version"))
                ops.batched_nms(**GOOD_NMS) if kernel == "nms" else ops.multiscale_roi_max_pool(**GOOD_POOLING)
    with pytest.raises(ValueError, match="conv"), ops.use_backend("native", conv=1):
        pass


def reaches_the_kernels(case):
    """Whether torch takes the bad argument for the operator's schema, and CPU kernels get it."""
    name, bad = case
    if uses_meta(bad) or (name == "rois" and isinstance(bad[name], list)):
        return False
    flat = bad[name] if isinstance(bad[name], list) else [bad[name]]
    kinds = {"iou_threshold": float, "spatial_scales": float, "output_size": int}
    return isinstance(bad[name], list) == (name in ("features", "spatial_scales")) and all(
        isinstance(x, kinds.get(name, torch.Tensor)) for x in flat
    )


@BUILT
@pytest.mark.parametrize("name, bad", [case for case in BAD_NMS + BAD_POOLING if reaches_the_kernels(case)])
def test_the_kernels_check_for_themselves(name, bad):
    """Called under torch.ops, without the Python around them."""
    with pytest.raises((ValueError, RuntimeError), match=name):
        if name in GOOD_NMS:
            torch.ops.fasterfpn.nms(**GOOD_NMS | bad, version=0)
        else:
            torch.ops.fasterfpn.roi_max_pool(**GOOD_POOLING | bad, with_argmax=True, version=0)


@BUILT
@pytest.mark.parametrize(
    "name, bad",
    [
        ("grad", dict(grad=torch.ones(3, 2, 2, 2))),
        ("grad", dict(grad=torch.ones(2, 3, 2, 2))),
        ("grad", dict(grad=torch.ones(3, 3, 2, 2, dtype=torch.int32))),
        ("argmax", dict(argmax=torch.zeros(3, 3, 2, 1, dtype=torch.int32))),
        ("argmax", dict(argmax=torch.zeros(3, 3, 2, 2))),
        ("argmax", dict(argmax=torch.full((3, 3, 2, 2), 72))),
        ("argmax", dict(argmax=torch.full((3, 3, 2, 2), -2, dtype=torch.int32))),
        ("feature_shapes", dict(feature_shapes=[])),
        ("feature_shapes", dict(feature_shapes=[2, 3, 8])),
        ("feature_shapes", dict(feature_shapes=[2, 3, 8, 9, 2, 4, 4, 5])),
        ("feature_shapes", dict(feature_shapes=[2, 3, 8, -9, 2, 3, 4, 5])),
        ("rois", dict(rois=changed(ROIS, (2, 0), 2))),
        ("levels", dict(levels=changed(LEVELS, 0, 2))),
        ("spatial_scales", dict(spatial_scales=[0.25])),
        ("spatial_scales", dict(spatial_scales=[0.25, 0.0])),
    ],
)
def test_backward_names_the_bad_argument(name, bad):
    shapes = [size for feature in FEATURES for size in feature.shape]
    argmax = torch.zeros(3, 3, 2, 2, dtype=torch.int32)
    good = dict(grad=torch.ones(3, 3, 2, 2), rois=ROIS, levels=LEVELS, argmax=argmax, feature_shapes=shapes)
    good |= dict(spatial_scales=SCALES)
    torch.ops.fasterfpn.roi_max_pool_backward(**good, channels_last=True, version=0)
    with pytest.raises((ValueError, RuntimeError), match=name):
        torch.ops.fasterfpn.roi_max_pool_backward(**good | bad, channels_last=True, version=0)


# ------------------------------------------------------------------------------------------------ choice of back end


@BUILT
def test_backends_says_what_is_in_force():
    assert ops.backends()["cpu"] == "native"
    with ops.use_backend("reference"):
        assert set(ops.backends().values()) == {"reference"}
        with ops.use_backend("native"):
            assert ops.backends()["cpu"] == "native" and ops.backends()["cuda"] in ("native", "unavailable")
        others = []
        thread = threading.Thread(target=lambda: others.append(ops.backends()["cpu"]))
        thread.start()
        thread.join()
        assert others == ["native"]
    assert ops.backends()["cpu"] == "native"


def test_use_backend_is_undone_by_an_error():
    before = ops.backends()
    with pytest.raises(KeyError), ops.use_backend("reference"):
        raise KeyError
    assert ops.backends() == before
    with pytest.raises(ValueError, match="name"), ops.use_backend("fast"):
        pass


def test_nothing_falls_back_silently(monkeypatch):
    monkeypatch.setattr(choice, "NATIVE", frozenset())
    monkeypatch.setattr(choice, "load", lambda: False)
    monkeypatch.setattr(choice, "problem", lambda: "not built. Run: pip install -e .")
    choice._warn_slow.cache_clear()
    assert ops.backends() == {"cpu": "reference", "cuda": "reference"}
    assert not choice.runs_native(torch.device("cpu"))  # no warning here: loading the library gave it
    with pytest.raises(RuntimeError, match="pip install"), ops.use_backend("native"):
        pass
    with pytest.warns(UserWarning, match="cuda"):
        assert not choice.runs_native(torch.device("cuda"))
    assert not choice.runs_native(torch.device("cuda"))  # warned once
    monkeypatch.setattr(choice, "load", lambda: True)
    with ops.use_backend("native"), pytest.raises(RuntimeError, match="no compiled operators for cuda"):
        choice.runs_native(torch.device("cuda"))
