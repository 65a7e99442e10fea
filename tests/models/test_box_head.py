"""The box head against its definition: which level pools, what is sampled, what is detected."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn import ops
from fasterfpn.geometry import box_iou, decode_boxes, encode_boxes
from fasterfpn.geometry.anchors import STRIDES
from fasterfpn.models.box_head import BoxHead, TwoLayers
from fasterfpn.models.config import BoxHeadConfig

CHANNELS, CLASSES = 3, 4
CONFIG = BoxHeadConfig(pool_size=2, box_hidden=8, box_sample=16, score_threshold=0.2, max_detections=6)
seeds = st.integers(0, 2**32)


def make_head(canonical_size=224.0, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = dataclasses.replace(CONFIG, **changes)
        return BoxHead(TwoLayers(CHANNELS, config), CLASSES, config, STRIDES[:4], canonical_size)


def random_boxes(count, seed, extent=100.0):
    generator = torch.Generator().manual_seed(seed)
    corners, sides = torch.rand(2, count, 2, generator=generator)
    return torch.cat([corners * extent * 0.7, corners * extent * 0.7 + 1 + sides * extent * 0.6], dim=1)


@pytest.mark.parametrize("canonical_size", [224.0, 56.0])
def test_each_proposal_is_pooled_from_the_level_of_equation_2(canonical_size):
    """Every level holds its own number everywhere, so the pooled value says where it came from."""
    pyramid = [torch.full((1, CHANNELS, 256 // s, 256 // s), float(k)) for k, s in enumerate((4, 8, 16, 32, 64), 2)]
    sides = [side * canonical_size / 224 for side in (10, 111, 112, 223, 224, 447, 448, 900)]
    proposals = torch.tensor([[0.0, 0.0, side, side] for side in sides])
    pooled = make_head(canonical_size).pool(pyramid, [proposals])
    assert pooled.shape == (8, CHANNELS, 2, 2)
    assert pooled[:, 0, 0, 0].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), seeds)
def test_proposals_are_pooled_from_their_own_image(counts, seed):
    pyramid = [torch.arange(float(len(counts)))[:, None, None, None].expand(-1, CHANNELS, 8, 8)] * 5
    proposals = [random_boxes(count, seed, extent=30.0) for count in counts]
    pooled = make_head().pool(pyramid, proposals)
    want = [float(image) for image, count in enumerate(counts) for _ in range(count)]
    assert pooled.amax(dim=(1, 2, 3)).tolist() == want if want else len(pooled) == 0


@given(st.integers(0, 30), st.integers(0, 3), seeds)
def test_a_sample_holds_what_it_says(count, objects, seed):
    head = make_head(box_weights=(10.0, 10.0, 5.0, 5.0))
    proposals, boxes = random_boxes(count, seed), random_boxes(objects, seed + 1)
    labels = torch.arange(objects) % CLASSES + 1
    assigned = head.assign_targets([proposals], [boxes], [labels], torch.Generator().manual_seed(seed))
    (sampled,), classes, targets = assigned.proposals, assigned.labels, assigned.deltas
    assert len(sampled) == len(classes) <= 16
    positive = classes > 0
    assert positive.sum() == len(targets) <= 4  # a quarter of 16
    assert positive.sum() >= min(objects, 4)  # ground truths stand among the proposals
    everything = torch.cat([proposals, boxes]).tolist()
    assert all(box in everything for box in sampled.tolist())
    if objects == 0:
        assert not positive.any()
        return
    best, matched = box_iou(sampled, boxes).max(dim=1)
    assert torch.equal(positive, best >= 0.5)
    assert torch.equal(classes[positive], labels[matched[positive]])
    torch.testing.assert_close(
        targets, encode_boxes(boxes[matched[positive]], sampled[positive], (10.0, 10.0, 5.0, 5.0))
    )


def test_only_the_own_class_learns_its_box():
    head = make_head()
    pyramid = [torch.rand(1, CHANNELS, 32 // 2**k, 32 // 2**k) for k in range(5)]
    boxes = torch.tensor([[10.0, 10, 60, 60]])
    proposals = boxes + torch.tensor([[3.0, -2, 5, 4]])
    targets = head.assign_targets([proposals], [boxes], [torch.tensor([3])], torch.Generator())
    losses = head.loss(*head(pyramid, targets.proposals), targets)
    losses["roi_loc_loss"].backward()
    learned = head.deltas.bias.grad.reshape(CLASSES + 1, 4).abs().amax(dim=1) > 0
    assert learned.tolist() == [False, False, False, True, False]


def by_definition(scores, boxes, size, config):
    """decode() for one image, box by box: [(score, label, box)] by descending score."""
    kept = []
    for label in range(1, CLASSES + 1):
        mine = []
        for i in sorted(range(len(scores)), key=lambda i, c=label: -scores[i, c].item()):
            box = torch.stack([v.clamp(0, size[1 - k % 2]) for k, v in enumerate(boxes[i, label])])
            if scores[i, label] <= config.score_threshold or min(box[2:] - box[:2]) < config.detection_min_side:
                continue
            if not mine or not (box_iou(box[None], torch.stack(mine)) > config.detection_nms_iou).any():
                mine.append(box)
                kept.append((scores[i, label].item(), label, box))
    return sorted(kept, key=lambda entry: -entry[0])[: config.max_detections]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=2), seeds, st.sampled_from([(60, 90), (100, 100)]))
def test_detections_follow_from_the_definition(counts, seed, size):
    head = make_head(box_weights=(10.0, 10.0, 5.0, 5.0))
    generator = torch.Generator().manual_seed(seed)
    proposals = [random_boxes(count, seed + i) for i, count in enumerate(counts)]
    logits = torch.randn(sum(counts), CLASSES + 1, generator=generator) * 2
    deltas = torch.randn(sum(counts), CLASSES + 1, 4, generator=generator)
    detections = head.decode(logits, deltas, proposals, [size] * len(counts))
    scores, start = logits.softmax(dim=1), 0
    for count, own, got in zip(counts, proposals, detections, strict=True):
        part = slice(start, start + count)
        boxes = decode_boxes(deltas[part], own[:, None], head.config.box_weights)
        want = by_definition(scores[part], boxes, size, head.config)
        assert got.labels.tolist() == [label for _, label, _ in want]
        assert got.scores.tolist() == [score for score, _, _ in want]
        assert got.boxes.shape == (len(want), 4)
        for box, (_, _, expected) in zip(got.boxes, want, strict=True):
            torch.testing.assert_close(box, expected, rtol=0, atol=1e-4)
        assert torch.equal(got.scores, scores[got.rows, got.labels])
        start += count


def test_the_pooled_size_is_configuration_and_the_reference_operators_agree():
    pyramid = [torch.rand(1, CHANNELS, 32 // 2**k, 32 // 2**k) for k in range(5)]
    head = make_head(pool_size=5)
    proposals = [random_boxes(7, 0)]
    assert head.pool(pyramid, proposals).shape == (7, CHANNELS, 5, 5)
    with ops.use_backend("reference"):
        want = head.pool(pyramid, proposals)
    assert torch.equal(head.pool(pyramid, proposals), want)
