"""Saliency: the map is the derivative, of the right detections and no others; and how far it concentrates on a box."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig, ImageConfig, RpnConfig, ScaleConfig
from fasterfpn.models.detector import build_detector
from fasterfpn.models.images import prepare_images
from fasterfpn.models.saliency import concentration, saliency

CONFIG = DetectorConfig(
    image=ImageConfig(image_min_side=48, image_max_side=96),
    backbone=BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=16),
    scale=ScaleConfig(anchor_areas=(8.0**2, 12.0**2, 16.0**2, 24.0**2, 32.0**2), canonical_size=32),
    rpn=RpnConfig(rpn_keep_test=20),
    box=BoxHeadConfig(box_hidden=32, score_threshold=0.05),
)
IMAGE = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(1))


def detector(architecture="fpn", threshold=0.05):
    box = replace(CONFIG.box, score_threshold=threshold)
    made = build_detector(replace(CONFIG, architecture=architecture, box=box), ("dent", "scratch", "stain"), seed=2)
    with torch.no_grad():
        made.box_head.logits.weight *= 30  # so that classes differ
    return made.eval()


@torch.no_grad()
def passed(network, image):
    """The proposals of an image, and its detections."""
    batch = prepare_images([image], network.config.image)
    regions = network.propose(batch)
    outputs = network.box_head(regions.pyramid, regions.proposals)
    (best,) = network.box_head.decode(*outputs, regions.proposals, batch.sizes)
    return regions.proposals[0], best


@pytest.mark.parametrize("architecture", ["fpn", "conv4", "fpn-without-top-down"])
@pytest.mark.parametrize("of", ["logit", "loss"])
@pytest.mark.parametrize("whole", [False, True], ids=["detection", "class"])
def test_the_map_is_the_derivative_with_the_proposals_held_constant(architecture, of, whole):
    network, image = detector(architecture).double(), IMAGE.double()
    proposals, best = passed(network, image)
    label = int(best.labels.mode().values) if whole else int(best.labels[0])
    mine = best.labels == label if whole else torch.arange(len(best.labels)) == 0
    assert int(mine.sum()) > 1 or not whole
    explained = proposals[best.rows[mine]]

    @torch.no_grad()
    def said(changed):
        levels, *_ = network.network(prepare_images([changed], network.config.image).pixels)
        logits = network.box_head(levels, [explained])[0]
        return (logits if of == "logit" else -logits.log_softmax(1))[:, label].sum()

    chosen = {"label": label} if whole else {"detection": 0}
    found = saliency(network, image, of=of, **chosen)
    assert found.label == label and found.values.shape == image.shape[1:]
    brightest = found.values.flatten().topk(3).indices.tolist()
    for y, x in (divmod(place, image.shape[2]) for place in brightest):
        slopes = []
        for channel in range(3):
            step = torch.zeros_like(image)
            step[channel, y, x] = 1e-7
            slopes.append(float(said(image + step) - said(image - step)) / 2e-7)
        assert max(map(abs, slopes)) == pytest.approx(float(found.values[y, x]), rel=1e-3)


def test_the_map_of_a_class_explains_all_its_detections_and_no_others():
    network = detector()
    with torch.no_grad():
        result = network([IMAGE])[0]
    for label in result["labels"].unique().tolist():
        mine = result["labels"] == label
        found = saliency(network, IMAGE, label)
        torch.testing.assert_close(found.boxes, result["boxes"][mine])
        torch.testing.assert_close(found.scores, result["scores"][mine])
    assert saliency(network, IMAGE).label == int(result["labels"][0])
    one = saliency(network, IMAGE, detection=1)
    torch.testing.assert_close(one.boxes, result["boxes"][1:2])
    assert one.label == int(result["labels"][1])


def test_without_a_detection_the_map_explains_the_likeliest_proposal():
    network = detector(threshold=0.999)
    found = saliency(network, IMAGE, label=2)
    assert len(found.boxes) == 1 and found.values.max() > 0 and found.label == 2
    proposals, best = passed(network, IMAGE)
    assert len(best.labels) == 0
    with torch.no_grad():
        levels, *_ = network.network(prepare_images([IMAGE], network.config.image).pixels)
        chances = network.box_head(levels, [proposals])[0].softmax(1)[:, 2]
    assert float(found.scores[0]) == pytest.approx(float(chances.max())) and chances.max() > 1.01 * chances.min()


def test_the_detector_is_left_as_it_was():
    network = detector().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    saliency(network, IMAGE)
    assert network.training and all(weight.grad is None for weight in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("wrong", [{"label": 0}, {"label": 4}, {"detection": 999}, {"detection": -1}])
def test_what_is_not_there_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        saliency(detector(), IMAGE, **wrong)


boxes = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(2, 12), st.integers(2, 12)).map(
    lambda box: torch.tensor([box[0], box[1], box[0] + box[2], box[1] + box[3]], dtype=torch.float32)
)


@given(boxes, st.integers(33, 60), st.integers(33, 60), st.floats(0.1, 100))
def test_an_even_map_has_1_and_a_map_inside_the_doubled_box_the_whole_area_over_its_own(box, height, width, scale):
    assert concentration(torch.full((height, width), scale), box) == pytest.approx(1)
    x1, y1, x2, y2 = box.tolist()
    left, right, top, bottom = 1.5 * x1 - x2 / 2, 1.5 * x2 - x1 / 2, 1.5 * y1 - y2 / 2, 1.5 * y2 - y1 / 2
    inside = torch.zeros(height, width)
    for y in range(height):
        for x in range(width):
            if left <= x + 0.5 <= right and top <= y + 0.5 <= bottom:
                inside[y, x] = scale
    assert concentration(inside, box) == pytest.approx(height * width / int((inside > 0).sum()))
    assert concentration(scale - inside, box) == pytest.approx(0)


def test_a_dark_map_has_0_and_a_box_outside_none():
    assert concentration(torch.zeros(10, 10), torch.tensor([2.0, 2, 4, 4])) == 0
    assert torch.tensor(concentration(torch.ones(10, 10), torch.tensor([50.0, 50, 52, 52]))).isnan()
