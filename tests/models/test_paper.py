"""The paper's network on the paper's images: ResNet-101, 2560 x 1920 (sec. 2.1, 4.1)."""

import dataclasses

import pytest
import torch

from fasterfpn.engine.config import PRESETS
from fasterfpn.geometry import pyramid_anchors
from fasterfpn.models.detector import build_detector
from fasterfpn.models.images import prepare_images


@pytest.mark.slow
def test_the_paper_preset_trains_a_step_and_detects_on_a_full_image():
    model = PRESETS["paper"].model
    model = dataclasses.replace(model, backbone=dataclasses.replace(model.backbone, norm="group"))  # no weights here
    detector = build_detector(model, [f"defect {k}" for k in range(10)])
    image = torch.rand(3, 1920, 2560, generator=torch.Generator().manual_seed(0))
    target = {"boxes": torch.tensor([[100.0, 200, 2400, 330], [700, 900, 760, 940]]), "labels": torch.tensor([3, 7])}

    batch = prepare_images([image], model.image)
    assert batch.pixels.shape[-2:] == (960, 1280)
    optimizer = torch.optim.SGD(detector.parameters(), 0.001, 0.9, weight_decay=0.0005)
    before = detector.backbone.layer3[22].conv2.weight.clone()
    losses = detector([image], [target])
    losses["total_loss"].backward()
    optimizer.step()
    assert losses["total_loss"].isfinite()
    assert not torch.equal(before, detector.backbone.layer3[22].conv2.weight)

    detector.eval()
    with torch.no_grad():
        (result,) = detector([image])
        anchors = detector.propose(batch).anchors
    assert sum(map(len, anchors)) == 306_900
    expected = pyramid_anchors((960, 1280))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(anchors, expected, strict=True))
    assert result["boxes"].shape == (len(result["labels"]), 4) and len(result["labels"]) <= 100
