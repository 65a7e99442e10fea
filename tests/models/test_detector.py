"""The whole detector: batches and single images agree, results are in bounds, targets are checked, presets fit."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fasterfpn.engine.config import PRESETS
from fasterfpn.errors import InputError
from fasterfpn.geometry import assign_levels
from fasterfpn.geometry.anchor_fit import best_anchor_iou
from fasterfpn.models.checks import check_images
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig, ImageConfig, RpnConfig, ScaleConfig
from fasterfpn.models.detector import build_detector
from fasterfpn.models.images import network_size, prepare_images

CLASSES = ("scratch", "jet", "crater")
LOSSES = {"rpn_cls_loss", "rpn_loc_loss", "roi_cls_loss", "roi_loc_loss", "total_loss"}
TINY = DetectorConfig(
    image=ImageConfig(image_min_side=64, image_max_side=128),
    backbone=BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=8),
    scale=ScaleConfig(anchor_areas=(8.0**2, 16.0**2, 32.0**2, 64.0**2, 128.0**2), canonical_size=56.0),
    rpn=RpnConfig(rpn_pre_nms_train=100, rpn_keep_train=100, rpn_pre_nms_test=50, rpn_keep_test=50, rpn_sample=64),
    box=BoxHeadConfig(box_hidden=16, box_sample=32, max_detections=10),
)
seeds = st.integers(0, 1000)
sides = st.integers(20, 150)


def make_detector(seed=0, lively=True, **changes):
    """A tiny detector; `lively`, its outputs differ from place to place as a trained one's do."""
    detector = build_detector(dataclasses.replace(TINY, **changes), CLASSES, seed)
    if lively:
        with torch.no_grad():
            for layer in (detector.rpn.head.logits, detector.box_head.logits):
                layer.weight *= 50
            detector.box_head.deltas.weight *= 50
    return detector


def make_images(sizes, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(3, h, w, generator=generator, dtype=torch.float64).to(dtype) for h, w in sizes]


def make_target(boxes=((10.0, 12.0, 40.0, 50.0), (20.0, 5.0, 60.0, 30.0)), labels=(1, 3)):
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


EMPTY = make_target((), ())


@pytest.fixture(scope="module")
def detector():
    """One for tests that only call it."""
    return make_detector()


def ndarray(image):
    return image.permute(1, 2, 0).numpy()


@given(st.tuples(sides, sides), st.integers(2, 3), seeds)
@settings(max_examples=12)
def test_images_of_one_size_give_in_a_batch_what_they_give_alone(size, count, seed):
    detector = make_detector(seed).eval()
    images = make_images([size] * count, seed)
    with torch.no_grad():
        together, alone = detector(images), [detector([image])[0] for image in images]
    for batched, single in zip(together, alone, strict=True):
        assert torch.equal(batched["labels"], single["labels"])
        torch.testing.assert_close(batched["scores"], single["scores"], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(batched["boxes"], single["boxes"], rtol=1e-4, atol=1e-4 * max(size))


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=3), seeds)
@settings(max_examples=15)
def test_detections_lie_in_their_image_best_first_and_not_too_many(sizes, seed):
    with torch.no_grad():
        results = make_detector(seed).eval()(make_images(sizes, seed))
    assert len(results) == len(sizes)
    for result, (height, width) in zip(results, sizes, strict=True):
        boxes, labels, scores = result["boxes"], result["labels"], result["scores"]
        assert len(boxes) == len(labels) == len(scores) <= TINY.box.max_detections
        assert (boxes >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert labels.dtype == torch.int64 and ((labels >= 1) & (labels <= len(CLASSES))).all()
        assert (scores > TINY.box.score_threshold).all() and (scores <= 1).all()
        assert (scores[1:] <= scores[:-1]).all()


def test_there_are_detections_to_judge():
    with torch.no_grad():
        (result,) = make_detector().eval()(make_images([(70, 90)]))
    assert len(result["boxes"]) == TINY.box.max_detections


def test_where_nothing_is_proposed_nothing_is_detected():
    detector = make_detector(rpn=dataclasses.replace(TINY.rpn, rpn_min_side=1e6)).eval()
    for result in detector(make_images([(64, 64), (64, 80)])):
        assert {name: tuple(value.shape) for name, value in result.items()} == {
            "boxes": (0, 4),
            "labels": (0,),
            "scores": (0,),
        }


@given(st.lists(st.tuples(st.integers(70, 150), st.integers(70, 150), st.booleans()), min_size=1, max_size=3), seeds)
@settings(max_examples=10)
def test_training_gives_five_finite_losses_and_gradients(images, seed):
    detector = make_detector(seed, lively=False)
    targets = [make_target() if has_objects else EMPTY for _, _, has_objects in images]
    losses = detector(make_images([(h, w) for h, w, _ in images], seed), targets)
    assert set(losses) == LOSSES
    assert all(loss.isfinite() and loss >= 0 for loss in losses.values())
    parts = sum(value.item() for name, value in losses.items() if name != "total_loss")
    assert losses["total_loss"].item() == pytest.approx(parts, rel=1e-5)
    losses["total_loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in detector.parameters())


def test_images_without_objects_have_no_boxes_to_learn_but_a_background():
    losses = make_detector(lively=False)(make_images([(64, 64)] * 2), [EMPTY, EMPTY])
    assert losses["rpn_loc_loss"] == losses["roi_loc_loss"] == 0
    assert losses["rpn_cls_loss"] > 0 and losses["roi_cls_loss"] > 0


def test_a_few_steps_lower_the_loss_and_repeat_bit_for_bit():
    def train():
        detector = make_detector(lively=False)
        optimizer = torch.optim.SGD(detector.parameters(), lr=0.02, momentum=0.9)
        totals = []
        for _ in range(12):
            loss = detector(make_images([(64, 64)]), [make_target()])["total_loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            totals.append(loss.item())
        return totals

    totals = train()
    assert totals[-1] < 0.8 * totals[0]
    assert totals == train()


@pytest.mark.parametrize("frozen_stages", [0, 2])
def test_frozen_batch_norm_and_frozen_stages_never_change(frozen_stages):
    backbone = dataclasses.replace(TINY.backbone, norm="frozen_batch", frozen_stages=frozen_stages)
    detector = make_detector(lively=False, backbone=backbone)
    before = {name: value.clone() for name, value in detector.backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.01, weight_decay=0.1)
    for _ in range(3):
        detector(make_images([(64, 64)]), [make_target()])["total_loss"].backward()
        optimizer.step()
    changed = {name for name, value in detector.backbone.state_dict().items() if not torch.equal(value, before[name])}
    frozen = ("conv1.", "layer1.")[:frozen_stages]
    assert changed == {n for n in before if ("conv" in n or "downsample.0" in n) and not n.startswith(frozen)}


def test_boxes_refer_to_the_image_passed_in():
    """Twice the pixels, twice the coordinates. (A flat image resizes exactly.)"""
    detector = make_detector().eval()
    with torch.no_grad():
        (small,), (large,) = (detector([torch.full((3, side, side), 0.3)]) for side in (64, 128))
    assert len(small["boxes"])
    torch.testing.assert_close(large["boxes"], small["boxes"] * 2, rtol=1e-4, atol=1e-3)

    losses = []
    for side, boxes in ((64, make_target()["boxes"]), (128, make_target()["boxes"] * 2)):
        detector.train().generator.manual_seed(0)
        losses.append(detector([torch.full((3, side, side), 0.3)], [make_target() | {"boxes": boxes}]))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)


@given(sides, sides)
def test_resizing_keeps_to_both_limits_and_boxes_find_back(height, width):
    config = ImageConfig(image_min_side=64, image_max_side=100)
    h, w = network_size((height, width), config)
    assert max(h, w) <= 100 and (min(h, w) == 64 or max(h, w) == 100)
    batch = prepare_images(make_images([(height, width)]), config)
    assert batch.sizes == [(h, w)] and batch.originals == [(height, width)]
    boxes = torch.tensor([[0.0, 0.0, width, height], [1.0, 2.0, 3.5, 9.0]])
    assert torch.allclose(batch.to_batch(boxes, 0)[0], torch.tensor([0.0, 0.0, w, h]))
    torch.testing.assert_close(batch.to_original(batch.to_batch(boxes, 0), 0), boxes)


@pytest.mark.parametrize("multiple", [1, 32])
def test_images_stand_in_the_upper_left_corner_of_zeros(multiple):
    config = ImageConfig(image_min_side=40, image_max_side=90, pad_multiple=multiple)
    images = make_images([(40, 60), (50, 40)])
    batch = prepare_images(images, config)
    assert batch.pixels.shape == ((2, 3, 50, 60) if multiple == 1 else (2, 3, 64, 64))
    for pixels, image in zip(batch.pixels, images, strict=True):
        _, h, w = image.shape
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
        torch.testing.assert_close(pixels[:, :h, :w], (image - mean) / std)
        assert not pixels[:, h:].any() and not pixels[:, :, w:].any()


IMAGE = torch.rand(3, 40, 50)
WRONG_IMAGES = {
    "one channel": ([IMAGE, torch.zeros(1, 64, 64)], r"images\[1\]: want \(3, H, W\)"),
    "channels last": ([torch.rand(40, 50, 3)], r"images\[0\]: want \(3, H, W\), channels first"),
    "no channels": ([torch.zeros(64, 64)], r"images\[0\]: want \(3, H, W\)"),
    "no pixels": ([torch.zeros(3, 0, 9)], r"images\[0\]: want \(3, H, W\)"),
    "bytes": ([IMAGE, (IMAGE * 255).byte()], r"images\[1\]: want floats in 0..1, got torch.uint8; .* / 255"),
    "0..255": ([IMAGE, IMAGE * 255], r"images\[1\]: values must lie in 0..1, .*divide by 255"),
    "0..65535": ([IMAGE * 65535], "divide by 255"),
    "normalised": ([(IMAGE - 0.45) / 0.22], "do not normalise"),
    "NaN": (
        [torch.full((3, 40, 50), float("nan"))],
        "these in nan..nan; give finite values",
    ),
    "one NaN": ([IMAGE.clone().index_fill_(2, torch.tensor(7), float("nan"))], "give finite values"),
    "infinite": ([IMAGE / 0], "give finite values"),
    "half": ([IMAGE.half()], r"images\[0\]: is torch.float16 on cpu, the network torch.float32 on cpu"),
    "double": ([IMAGE.double()], r"torch.float64.*image\.to\(device, dtype\)"),
    "another device": ([IMAGE.to("meta")], "on meta"),
    "an array": ([ndarray(IMAGE)], r"images\[0\]: want a tensor, got ndarray; torch.from_numpy"),
    "a name": (["a.jpg"], r"images\[0\]: want a tensor, got str"),
    "a string": ("a.jpg", r"images\[0\]: want a tensor, got str"),
    "a number": (3, "images: a list"),
    "nothing": ([], "images: a list"),
    "none": (None, "images: a list"),
    "one image": (IMAGE, r"images: a list .*\[image\]"),
    "an empty batch": (torch.zeros(0, 3, 40, 50), "images: a list"),
    "a batch of videos": (torch.zeros(1, 2, 3, 40, 50), r"images\[0\]: want \(3, H, W\)"),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("images", "words"), WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_wrong_images_are_refused_by_name(detector, images, words, training):
    with pytest.raises(ValueError, match=words):
        detector.train(training)(images, [make_target()] * 2 if training else None)


@given(st.floats(-0.5, 0.0, width=32), st.floats(1.0, 1.5, width=32))
def test_a_slight_overshoot_is_taken(low, high):
    images = [torch.stack([torch.full((8, 8), value) for value in (low, 0.5, high)])]
    check_images(images, like=torch.zeros(1))
    prepared = prepare_images(images, ImageConfig(image_min_side=32)).pixels
    assert prepared.isfinite().all()


def test_a_batch_counts_as_its_images(detector):
    detector.eval()
    with torch.no_grad():
        together, listed = detector(torch.stack(make_images([(64, 80)] * 2))), detector(make_images([(64, 80)] * 2))
    for a, b in zip(together, listed, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in ("boxes", "labels", "scores"))


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"boxes": torch.zeros(2, 5)}, "boxes"),
        ({"boxes": torch.zeros(8)}, "boxes"),
        ({"boxes": torch.tensor([[0, 0, 9, 9]] * 2)}, "boxes"),
        ({"boxes": torch.tensor([[0.0, 0, 9, 9], [5, 5, 5, 9]])}, "boxes"),
        ({"boxes": torch.tensor([[0.0, 0, 9, 9], [9, 5, 5, 9]])}, "boxes"),
        ({"boxes": torch.tensor([[0.0, 0, 9, 9], [0, 0, float("nan"), 9]])}, "boxes"),
        ({"boxes": torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, float("inf")]])}, "boxes"),
        ({"labels": torch.tensor([1])}, "labels"),
        ({"labels": torch.tensor([1.0, 2.0])}, "labels"),
        ({"labels": torch.tensor([0, 1])}, "labels"),
        ({"labels": torch.tensor([1, 4])}, "labels"),
        ({"boxes": None}, "boxes"),
        ({"labels": None}, "labels"),
        ({"boxes": [[0.0, 0, 9, 9]] * 2}, "boxes"),
        ({"labels": [1, 2]}, "labels"),
    ],
)
def test_wrong_targets_are_refused_by_name(changes, name):
    target = {key: value for key, value in (make_target() | changes).items() if value is not None}
    with pytest.raises(ValueError, match=rf"^targets\[1\].*'{name}'"):
        make_detector()(make_images([(64, 64)] * 2), [make_target(), target])


def test_targets_must_be_as_many_as_images():
    for targets in (None, [], [make_target()], make_target()):
        with pytest.raises(ValueError, match=r"^targets"):
            make_detector()(make_images([(64, 64)] * 2), targets)


def test_a_seed_fixes_the_weights_and_leaves_the_callers_random_state():
    state = torch.random.get_rng_state()
    first, second = build_detector(TINY, CLASSES, 3), build_detector(TINY, CLASSES, 3)
    assert torch.equal(torch.random.get_rng_state(), state)
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(build_detector(TINY, CLASSES, 4).fpn.laterals[0].weight, first.fpn.laterals[0].weight)


@pytest.mark.parametrize(
    "classes",
    [(), "scratch", ["jet", ""], ["jet", "  "], ["jet", "jet"], ["jet", " jet"], ["jet", 3], [None]],
    ids=repr,
)
def test_what_are_no_class_names_is_refused(classes):
    with pytest.raises(ValueError, match=r"^classes"):
        build_detector(TINY, classes)


def test_boxes_of_another_float_type_are_taken():
    losses = [
        make_detector(lively=False)(
            make_images([(64, 64)]), [make_target() | {"boxes": make_target()["boxes"].to(kind)}]
        )
        for kind in (torch.float32, torch.float64, torch.float16)
    ]
    assert losses[0] == losses[1] == losses[2]


def test_batch_norm_on_one_value_a_channel_says_what_to_do():
    detector = make_detector(lively=False, backbone=dataclasses.replace(TINY.backbone, norm="batch"),
                             image=ImageConfig(image_min_side=32, image_max_side=32))  # fmt: skip
    with pytest.raises(InputError, match=r"batch norm: .*\(1, 128, 1, 1\).*more images a step"):
        detector(make_images([(32, 32)]), [make_target()])
    assert detector(make_images([(32, 32)] * 2), [make_target()] * 2)["total_loss"].isfinite()
    detector.eval()(make_images([(32, 32)]))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["fpn", "conv4"])
def test_the_network_is_tensors_in_tensors_out(architecture):
    """torch.compile takes it whole, with no break in its graph."""
    detector = make_detector(architecture=architecture).eval()
    pixels = torch.rand(1, 3, 64, 96)
    whole = torch.compile(detector.network, backend="eager", fullgraph=True)
    with torch.no_grad():
        for compiled, plain in zip(whole(pixels), detector.network(pixels), strict=True):
            assert len(compiled) == len(plain) and all(map(torch.equal, compiled, plain))


def test_torchvisions_configuration_is_plain_values():
    config = DetectorConfig.torchvision()
    assert (config.box.score_threshold, config.box.max_detections, config.rpn.rpn_keep_test) == (0.05, 100, 1000)
    assert config.scale.anchors_rounded and config.anchors().strides_measured and config.image.pad_multiple == 32
    asked = DetectorConfig.torchvision(max_detections=300, score_threshold=0.3, rpn_keep_test=50, depth=18)
    assert (asked.box.max_detections, asked.box.score_threshold, asked.rpn.rpn_keep_test) == (300, 0.3, 50)
    assert asked.backbone.depth == 18 and asked.box.box_weights == config.box.box_weights == (10, 10, 5, 5)
    assert build_detector(dataclasses.replace(asked, backbone=TINY.backbone), CLASSES).box_head.config == asked.box
    with pytest.raises(TypeError, match=r"max_detection$"):
        DetectorConfig.torchvision(max_detection=300)


def test_diverged_weights_are_named():
    detector = make_detector()
    with torch.no_grad():
        detector.rpn.head.conv.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError):
        detector(make_images([(64, 64)]), [make_target()])


def boxes_of_every_size(image_size, count=2000):
    """Boxes within an image, their sides spread evenly in the logarithm from 3 % of its shorter side to all of it."""
    generator = torch.Generator().manual_seed(0)
    limit = torch.tensor([image_size[1], image_size[0]], dtype=torch.float32)
    side = limit.min() * 0.03 ** torch.rand(count, 1, generator=generator)
    stretch = 2 ** (torch.rand(count, 1, generator=generator) - 0.5)
    sides = torch.minimum(torch.cat([side * stretch, side / stretch], dim=1), limit)
    corner = torch.rand(count, 2, generator=generator) * (limit - sides)
    return torch.cat([corner, corner + sides], dim=1)


def shares(levels, first, last):
    return [(levels == level).double().mean().item() for level in range(first, last + 1)]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_level_of_a_preset_gets_its_share_of_boxes(preset):
    """Areas and eq. 2's 224 are scaled with a preset's images: no level pools nothing, none has anchors for nothing.

    But for demo, whose objects are at most 85 pixels long: its P5 pools nothing.
    """
    config = PRESETS[preset].model
    size = network_size((1920, 2560), config.image)
    boxes = boxes_of_every_size(size)
    pooled = shares(assign_levels(boxes, canonical_size=config.scale.canonical_size), 2, 4 if preset == "demo" else 5)
    assert min(pooled) > 0.04, pooled
    iou = best_anchor_iou(boxes, torch.tensor([size]).expand(len(boxes), 2), config.anchors())
    best = iou.unflatten(1, (5, -1)).amax(2).argmax(1)
    assert min(shares(best, 0, 4)) > 0.03, shares(best, 0, 4)
