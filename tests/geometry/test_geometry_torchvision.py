"""torchvision as an oracle, where it is installed: coding, IoU, clipping, anchors, matching, levels agree."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from fasterfpn import geometry

pytest.importorskip("torchvision")
from torchvision.models.detection import _utils, anchor_utils, image_list
from torchvision.ops import boxes as box_ops
from torchvision.ops import poolers

seeds = st.integers(0, 2**32)


def random_boxes(seed, count, extent=500.0):
    generator = torch.Generator().manual_seed(seed)
    corners, sides = torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
    return torch.cat((corners * extent, corners * extent + sides * extent + 1), dim=1)


@given(seeds, st.integers(1, 20), st.integers(1, 20))
def test_iou_and_clipping(seed, n, m):
    a, b = random_boxes(seed, n), random_boxes(seed + 1, m)
    assert torch.equal(geometry.box_iou(a, b), box_ops.box_iou(a, b))
    assert torch.equal(geometry.clip_boxes(a, (300, 200)), box_ops.clip_boxes_to_image(a, (300, 200)))


@given(seeds, st.integers(1, 20), st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]))
def test_coding(seed, n, weights):
    boxes, anchors = random_boxes(seed, n), random_boxes(seed + 1, n)
    coder = _utils.BoxCoder(weights)
    deltas = geometry.encode_boxes(boxes, anchors, weights)
    torch.testing.assert_close(deltas, coder.encode_single(boxes, anchors), rtol=1e-12, atol=1e-12)
    wild = deltas * 20  # beyond the clamp too
    theirs = coder.decode_single(wild, anchors)
    torch.testing.assert_close(geometry.decode_boxes(wild, anchors, weights), theirs, rtol=1e-12, atol=1e-9)


@given(st.integers(1, 4), st.integers(1, 4))
def test_rounded_anchors(rows, columns):
    height, width = rows * 64, columns * 64  # multiples of 64: its strides from the true sizes are ours
    theirs = anchor_utils.AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
    features = [torch.zeros(1, 1, height // s, width // s) for s in (4, 8, 16, 32, 64)]
    images = image_list.ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    ours = geometry.pyramid_anchors((height, width), rounded=True)
    assert torch.equal(torch.cat(ours), theirs(images, features)[0])


@given(seeds, st.integers(1, 60), st.integers(1, 6), st.booleans())
def test_matching(seed, anchors, boxes, best_for_each):
    anchors, boxes = random_boxes(seed, anchors), random_boxes(seed + 1, boxes)
    iou = box_ops.box_iou(boxes, anchors)
    assume((iou.max(dim=1).values > 0).all())  # it promotes anchors that meet nothing: a deviation of ours
    theirs = _utils.Matcher(0.7, 0.3, allow_low_quality_matches=best_for_each)(iou)
    labels, matched = geometry.match_boxes(
        anchors, boxes, 0.3, 0.7, best_for_each=best_for_each, every_tie=best_for_each
    )
    assert torch.equal(labels, torch.where(theirs >= 0, 1, torch.where(theirs == -1, 0, -1)))
    assert torch.equal(matched[theirs >= 0], theirs[theirs >= 0])


@given(seeds, st.integers(1, 30))
def test_levels_away_from_the_boundaries(seed, n):
    boxes = random_boxes(seed, n, extent=700.0)
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    for boundary in (112, 224, 448):
        boxes, sides = boxes[(sides - boundary).abs() > 0.01], sides[(sides - boundary).abs() > 0.01]
    assert torch.equal(geometry.assign_levels(boxes) - 2, poolers.LevelMapper(2, 5)([boxes]))
