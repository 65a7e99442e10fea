"""The single-scale network and the pyramid without sums, beside the multiscale network that they are compared with."""

import dataclasses

import pytest
import torch

from fasterfpn.errors import InputError
from fasterfpn.geometry import box_iou, pyramid_anchors
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig, ImageConfig, RpnConfig, ScaleConfig
from fasterfpn.models.detector import build_detector
from fasterfpn.models.images import prepare_images
from fasterfpn.models.levels import Levels
from fasterfpn.models.resnet import ResNet
from fasterfpn.models.weights import load_torchvision, to_torchvision

ARCHITECTURES = ("fpn", "fpn-without-top-down", "conv4")
CONFIG = DetectorConfig(
    image=ImageConfig(image_min_side=64, image_max_side=128),
    backbone=BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=16),
    scale=ScaleConfig(anchor_areas=tuple(float(side**2) for side in (8, 16, 24, 32, 48)), canonical_size=32.0),
    rpn=RpnConfig(rpn_sample=64),
    box=BoxHeadConfig(box_hidden=32, box_sample=32),
)


def of(architecture, **changes):
    return dataclasses.replace(CONFIG, architecture=architecture, **changes)


def scene(seed=0):
    """A grey image of noise with one bright box."""
    image = 0.3 + 0.1 * torch.rand(3, 70, 90, generator=torch.Generator().manual_seed(seed))
    image[:, 20:44, 30:66] = 0.9
    return image, {"boxes": torch.tensor([[30.0, 20.0, 66.0, 44.0]]), "labels": torch.tensor([1])}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_trained_parameter_gets_a_gradient(architecture):
    detector = build_detector(of(architecture), ["dent", "stain"])
    for module in detector.modules():  # the residual branches start as zero, and would pass nothing on
        if isinstance(module, torch.nn.GroupNorm):
            torch.nn.init.ones_(module.weight)
    image, target = scene()
    losses = detector([image], [target])
    assert losses.keys() == {"rpn_cls_loss", "rpn_loc_loss", "roi_cls_loss", "roi_loc_loss", "total_loss"}
    losses["total_loss"].backward()
    unused = {name for name, parameter in detector.named_parameters() if parameter.grad is None}
    assert not unused
    assert all(parameter.grad.isfinite().all() for parameter in detector.parameters())


def test_conv4_has_fifteen_anchors_a_cell_and_they_are_the_pyramids():
    single, multiple = build_detector(of("conv4"), ["dent"]), build_detector(of("fpn"), ["dent"])
    batch = prepare_images([torch.zeros(3, 64, 96)], CONFIG.image)
    levels, logits, deltas = single.network(batch.pixels)
    assert [tuple(level.shape) for level in levels] == [(1, 64, 4, 6)]
    (anchors,) = single.rpn.anchors_of(levels, (64, 96))
    assert anchors.shape == (4 * 6 * 15, 4)
    of_a_cell = [a[:3] for a in pyramid_anchors((64, 96), CONFIG.scale.anchor_areas)]  # centred at the corner
    assert torch.equal(anchors[:15], torch.cat(of_a_cell))
    assert torch.equal(anchors[15 * 7 : 15 * 8], anchors[:15] + torch.tensor([16.0, 16.0, 16.0, 16.0]))  # cell (1, 1)
    assert logits[0].shape == (1, 360) and deltas[0].shape == (1, 360, 4)
    on_pyramid = multiple.rpn.anchors_of(multiple.network(batch.pixels)[0], (64, 96))
    assert sum(map(len, on_pyramid)) == (16 * 24 * 341 // 256 + 1) * 3


def test_levels_are_made_once_from_the_architecture():
    areas = CONFIG.scale.anchor_areas
    assert of("conv4").levels() == Levels((16,), (areas,), pooled=1)
    for architecture in ("fpn", "fpn-without-top-down"):
        assert of(architecture).levels() == Levels((4, 8, 16, 32, 64), tuple((area,) for area in areas), pooled=4)
    assert of("conv4").anchors().per_cell == 15 and of("fpn").anchors().per_cell == 3


def test_conv4s_one_map_hands_as_many_anchors_to_nms_as_a_pyramids_five():
    """Counts before NMS are for each anchor area, wherever the area stands."""
    config = of("conv4", rpn=RpnConfig(rpn_pre_nms_test=7, rpn_keep_test=1000, rpn_nms_iou=1.0))
    for architecture in ("fpn", "conv4"):
        detector = build_detector(dataclasses.replace(config, architecture=architecture), ["dent"]).eval()
        with torch.no_grad():
            regions = detector.propose(prepare_images([torch.rand(3, 64, 96)], config.image))
        available = sum(min(7 * len(a), len(level)) for a, level in zip(config.levels().areas * 5, regions.anchors))
        assert len(regions.proposals[0]) <= (35 if architecture == "conv4" else available)
        if architecture == "conv4":
            assert len(regions.proposals[0]) > 7


def test_conv4_pools_from_its_only_map_whatever_the_size():
    detector = build_detector(of("conv4"), ["dent"])
    ramp = torch.arange(6.0 * 4).view(1, 1, 4, 6).expand(1, 64, 4, 6)
    pooled = detector.box_head.pool([ramp], [torch.tensor([[0.0, 0.0, 8.0, 7.9], [0.0, 0.0, 80.0, 48.0]])])
    assert pooled.shape == (2, 64, 7, 7)
    assert pooled[:, 0, -1, -1].tolist() == [1, 23]  # 8 px are half a cell, which rounds to cell 1
    assert detector.box_head.body(pooled).shape == (2, 128)


def test_without_sums_a_level_depends_on_its_own_stage_alone():
    detector = build_detector(of("fpn-without-top-down"), ["dent"]).double()
    features = detector.backbone(torch.randn(1, 3, 64, 64, dtype=torch.float64))
    before = detector.fpn(features)
    after = detector.fpn([*features[:3], features[3] + 1])
    assert all(torch.equal(a, b) for a, b in zip(before[:3], after[:3], strict=True))
    assert not torch.equal(before[3], after[3])
    with_sums = build_detector(of("fpn"), ["dent"]).double()
    with_sums.load_state_dict(detector.state_dict())  # the same parameters
    assert not torch.equal(with_sums.fpn(features)[0], before[0])
    assert torch.equal(with_sums.fpn(features)[3], before[3])


def test_the_paper_sized_networks():
    """Parameters of ResNet-101 on conv4: the backbone and conv5 without the classifier, RPN, two siblings."""
    config = DetectorConfig(architecture="conv4")
    with torch.device("meta"):
        detector = build_detector(config, list("abcdefghij"))
        resnet = ResNet(config.backbone)
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(detector.backbone) + count(detector.box_head.body) == count(resnet)
    assert count(detector.rpn) == (1024 * 9 * 1024 + 1024) + (1024 + 1) * 15 * 5
    assert detector.box_head.logits.weight.shape == (11, 2048)


def test_a_classifiers_weights_go_into_backbone_and_head():
    config = of("conv4", backbone=dataclasses.replace(CONFIG.backbone, norm="frozen_batch"))
    detector = build_detector(config, ["dent"])
    resnet = ResNet(dataclasses.replace(config.backbone, norm="batch"), classes=7)
    report = load_torchvision(detector, resnet.state_dict())
    assert "fc.weight" in report.skipped and "layer4.0.conv1.weight" in report.taken
    assert torch.equal(detector.box_head.body.layer4[0].conv1.weight, resnet.layer4[0].conv1.weight)
    assert torch.equal(detector.backbone.layer3[0].conv1.weight, resnet.layer3[0].conv1.weight)
    assert all(name.startswith(("rpn.", "box_head.logits", "box_head.deltas")) for name in report.missing)
    with pytest.raises(ValueError, match="conv4"):
        to_torchvision(detector)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(InputError, match="frozen_stages"):
        of("conv4", backbone=dataclasses.replace(CONFIG.backbone, frozen_stages=5))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["conv4", "fpn-without-top-down"])
def test_learns_one_image_by_heart(architecture):
    detector = build_detector(of(architecture), ["dent", "stain"])
    image, target = scene()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        detector([image], [target])["total_loss"].backward()
        optimizer.step()
    detector.eval()
    with torch.no_grad():
        result = detector([image])[0]
    assert result["labels"][0] == 1 and result["scores"][0] > 0.5
    assert box_iou(result["boxes"][:1], target["boxes"]) > 0.6
