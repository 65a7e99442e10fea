"""The region proposal network against its definition, brute force, on pyramids of noise."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from fasterfpn.geometry import Anchors, box_iou, decode_boxes, encode_boxes, match_boxes, pyramid_anchors
from fasterfpn.models.config import RpnConfig
from fasterfpn.models.levels import Levels
from fasterfpn.models.rpn import RPN, RPNHead, check_finite

CHANNELS = 4
AREAS = (8.0**2, 16.0**2, 32.0**2, 64.0**2, 128.0**2)
LEVELS = Levels.pyramid(AREAS)
CONFIG = RpnConfig(rpn_pre_nms_train=40, rpn_pre_nms_test=30, rpn_keep_train=25, rpn_keep_test=20)
SIDES = st.integers(16, 80)
seeds = st.integers(0, 2**32)


def make_rpn(training=False, **changes):
    anchors = Anchors(LEVELS.strides, LEVELS.areas)
    return RPN(CHANNELS, dataclasses.replace(CONFIG, **changes), anchors).train(training)


def make_outputs(sizes, seed, scale=0.3):
    """Logits and deltas of noise, anchors: lists over the levels, as the head would give them."""
    generator = torch.Generator().manual_seed(seed)
    anchors = pyramid_anchors((max(h for h, _ in sizes), max(w for _, w in sizes)), AREAS)
    logits = [torch.randn(len(sizes), len(a), generator=generator) for a in anchors]
    deltas = [torch.randn(len(sizes), len(a), 4, generator=generator) * scale for a in anchors]
    return logits, deltas, anchors


def inside(anchors, size):
    """Whether each anchor's centre lies in the image."""
    x, y = (anchors[:, 0] + anchors[:, 2]) / 2, (anchors[:, 1] + anchors[:, 3]) / 2
    return (x < size[1]) & (y < size[0])


def test_the_heads_outputs_run_over_y_x_ratio():
    """A head that hands its channels on: the number at (y, x) of channel a must come out at place (y, x, a)."""
    head = RPNHead(15, 3)
    with torch.no_grad():
        torch.nn.init.dirac_(head.conv.weight)
        head.logits.weight.zero_()
        head.deltas.weight.zero_()
        for a in range(3):
            head.logits.weight[a, a] = 1
            for coordinate in range(4):
                head.deltas.weight[4 * a + coordinate, 3 + 4 * a + coordinate] = 1
    feature = torch.rand(2, 15, 3, 5, generator=torch.Generator().manual_seed(0))
    (logits,), (deltas,) = head([feature])
    for y in range(3):
        for x in range(5):
            for a in range(3):
                row = (y * 5 + x) * 3 + a
                assert torch.equal(logits[:, row], feature[:, a, y, x])
                assert torch.equal(deltas[:, row], feature[:, 3 + 4 * a : 7 + 4 * a, y, x])


def test_the_head_is_shared_by_all_levels():
    head = RPNHead(CHANNELS, 3)
    fine, coarse = torch.rand(1, CHANNELS, 8, 8), torch.rand(1, CHANNELS, 4, 4)
    logits, deltas = head([fine, coarse])
    again_logits, again_deltas = head([coarse, fine])
    assert torch.equal(logits[1], again_logits[0]) and torch.equal(deltas[0], again_deltas[1])


@given(SIDES, SIDES)
def test_anchors_are_those_of_the_pyramid(height, width):
    pyramid = [torch.zeros(1, CHANNELS, -(-height // s), -(-width // s)) for s in (4, 8, 16, 32, 64)]
    got = make_rpn().anchors_of(pyramid, (height, width))
    for ours, want in zip(got, pyramid_anchors((height, width), AREAS), strict=True):
        assert torch.equal(ours, want)


def by_definition(logits, deltas, anchors, size, image, config, training):
    """propose() for one image, box by box."""
    count = config.rpn_pre_nms_train if training else config.rpn_pre_nms_test
    proposals = []
    for logit, delta, anchor in zip(logits, deltas, anchors, strict=True):
        eligible = inside(anchor, size).nonzero()[:, 0].tolist()
        best = sorted(eligible, key=lambda i, z=logit[image]: -z[i].item())[:count]
        kept = []
        for i in best:
            box = decode_boxes(delta[image, i], anchor[i])
            box = torch.stack([v.clamp(0, size[1 - k % 2]) for k, v in enumerate(box)])
            if min(box[2] - box[0], box[3] - box[1]) < config.rpn_min_side:
                continue
            if not kept or not (box_iou(box[None], torch.stack(kept)) > config.rpn_nms_iou).any():
                kept.append(box)
                proposals.append((logit[image, i].item(), box))
    proposals.sort(key=lambda pair: -pair[0])
    keep = config.rpn_keep_train if training else config.rpn_keep_test
    return torch.stack([box for _, box in proposals[:keep]]) if proposals else torch.zeros(0, 4)


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=2), seeds, st.booleans())
@settings(max_examples=20)
def test_proposals_follow_from_the_definition(sizes, seed, training):
    logits, deltas, anchors = make_outputs(sizes, seed)
    rpn = make_rpn(training)
    proposals = rpn.propose(logits, deltas, anchors, sizes)
    assert len(proposals) == len(sizes)
    for image, (got, size) in enumerate(zip(proposals, sizes, strict=True)):
        want = by_definition(logits, deltas, anchors, size, image, rpn.config, training)
        torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3), seeds, st.sampled_from([0.1, 1.0, 30.0]))
def test_proposals_lie_in_their_image_and_are_not_too_many(sizes, seed, wildness):
    rpn = make_rpn()
    for boxes, (height, width) in zip(rpn.propose(*make_outputs(sizes, seed, wildness), sizes), sizes, strict=True):
        assert len(boxes) <= rpn.config.rpn_keep_test
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= rpn.config.rpn_min_side).all()


def test_anchors_centred_in_padding_are_not_proposed_however_high_they_score():
    sizes = [(80, 80), (33, 50)]
    logits, deltas, anchors = make_outputs(sizes, 0)
    for level, anchor in enumerate(anchors):
        deltas[level] = torch.zeros_like(deltas[level])
        logits[level] = logits[level] + 100 * ~inside(anchor, sizes[1])
    rpn = make_rpn(rpn_pre_nms_test=10_000, rpn_keep_test=10_000)
    everything = torch.cat(anchors)
    clipped = torch.stack([everything[:, i].clamp(0, sizes[1][1 - i % 2]) for i in range(4)], dim=1)
    proposals = rpn.propose(logits, deltas, anchors, sizes)[1]
    assert len(proposals)
    nearest = torch.cdist(proposals, clipped, p=float("inf")).argmin(dim=1)  # deltas are 0: each is an anchor, clipped
    assert inside(everything, sizes[1])[nearest].all()
    torch.testing.assert_close(proposals, clipped[nearest])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["logits", "deltas"])
def test_numbers_that_are_not_finite_are_refused(bad, where):
    logits, deltas, _ = make_outputs([(64, 64)], 0)
    check_finite(logits, deltas)
    (logits[2] if where == "logits" else deltas[4])[0, 0] = bad
    with pytest.raises(FloatingPointError, match="RPN"):
        check_finite(logits, deltas)


def test_the_largest_finite_numbers_propose_boxes_in_the_image():
    logits, deltas, anchors = make_outputs([(64, 64)], 0)
    largest = torch.finfo(torch.float32).max
    deltas = [delta.sign() * largest for delta in deltas]
    (boxes,) = make_rpn().propose([logit.sign() * largest for logit in logits], deltas, anchors, [(64, 64)])
    assert boxes.isfinite().all() and (boxes >= 0).all() and (boxes <= 64).all()


def random_truth(size, count, seed):
    generator = torch.Generator().manual_seed(seed)
    limit = torch.tensor([size[1], size[0]])
    first, second = torch.rand(2, count, 2, generator=generator) * limit
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second) + 2], dim=1)


@given(st.lists(st.tuples(SIDES, SIDES, st.integers(0, 4)), min_size=1, max_size=2), seeds)
def test_the_loss_of_a_sample_of_everything_is_equation_3(images, seed):
    """With room for every anchor nothing is left to chance, and PyTorch's losses give the same sums."""
    sizes = [(h, w) for h, w, _ in images]
    truth = [random_truth((h, w), count, seed + i) for i, (h, w, count) in enumerate(images)]
    logits, deltas, anchors = (torch.cat(part, dim) for part, dim in zip(make_outputs(sizes, seed), (1, 1, 0)))
    rpn = make_rpn(True, rpn_sample=4 * len(anchors), rpn_beta=0.5, rpn_loc_weight=3.0)
    losses = rpn.loss([logits], [deltas], rpn.assign_targets([anchors], truth, sizes, torch.Generator()))

    samples, cls_sum, loc_sum = 0, 0.0, 0.0
    for logit, delta, boxes, size in zip(logits, deltas, truth, sizes, strict=True):
        # Best anchors are looked for in the image alone: one in the padding beside it would be lost.
        labels, matched = torch.full((2, len(anchors)), -1)
        within = inside(anchors, size)
        labels[within], matched[within] = match_boxes(anchors[within], boxes, 0.3, 0.7, best_for_each=True)
        used, positive = labels >= 0, labels == 1
        samples += int(used.sum())
        cls_sum += F.binary_cross_entropy_with_logits(logit[used], labels[used].float(), reduction="sum")
        target = encode_boxes(boxes[matched[positive]], anchors[positive])
        loc_sum += F.smooth_l1_loss(delta[positive], target, beta=0.5, reduction="sum")
    torch.testing.assert_close(losses["rpn_cls_loss"], cls_sum / samples, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(losses["rpn_loc_loss"], torch.as_tensor(3 * loc_sum / samples), rtol=1e-4, atol=1e-6)


@given(seeds, st.integers(1, 300))
def test_the_loss_sees_as_many_anchors_as_the_sample_allows_and_none_in_padding(seed, sample):
    sizes = [(80, 80), (40, 56)]
    logits, deltas, anchors = (torch.cat(part, dim) for part, dim in zip(make_outputs(sizes, seed), (1, 1, 0)))
    logits.requires_grad_()
    deltas.requires_grad_()
    truth = [random_truth(size, 2, seed) for size in sizes]
    rpn = make_rpn(True, rpn_sample=sample)
    targets = rpn.assign_targets([anchors], truth, sizes, torch.Generator().manual_seed(seed))
    losses = rpn.loss([logits], [deltas], targets)
    sum(losses.values()).backward()
    for image, size in enumerate(sizes):
        seen = logits.grad[image] != 0
        assert seen.sum() == sample
        assert not (seen & ~inside(anchors, size)).any()
        moved = (deltas.grad[image] != 0).any(dim=1)
        assert not (moved & ~seen).any() and moved.sum() <= sample * 0.5


def test_the_same_generator_draws_the_same_sample():
    sizes = [(80, 80)]
    logits, deltas, anchors = (torch.cat(part, dim) for part, dim in zip(make_outputs(sizes, 0), (1, 1, 0)))
    truth = [random_truth(sizes[0], 2, 0)]

    def loss(seed):
        rpn = make_rpn(True, rpn_sample=16)
        targets = rpn.assign_targets([anchors], truth, sizes, torch.Generator().manual_seed(seed))
        return rpn.loss([logits], [deltas], targets)["rpn_cls_loss"]

    assert torch.equal(loss(3), loss(3))
    assert not torch.equal(loss(3), loss(4))
