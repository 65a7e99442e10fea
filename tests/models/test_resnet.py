"""ResNet (Table 1): parameter counts, shapes, initial state, frozen stages, and the classifier."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fasterfpn.models.config import BackboneConfig
from fasterfpn.models.norms import FrozenBatchNorm, norm_layer
from fasterfpn.models.resnet import STAGES, BasicBlock, Bottleneck, ResNet

TINY = BackboneConfig(depth=10, width=16, norm="group")


@pytest.mark.parametrize(
    "depth, parameters", [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)]
)
def test_the_classifier_has_the_published_number_of_parameters(depth, parameters):
    with torch.device("meta"):
        resnet = ResNet(BackboneConfig(depth=depth, norm="batch"), classes=1000)
        frozen = ResNet(BackboneConfig(depth=depth, norm="frozen_batch"), classes=1000)
    assert sum(p.numel() for p in resnet.parameters()) == parameters
    shapes = {name: tensor.shape for name, tensor in resnet.state_dict().items() if "num_batches" not in name}
    assert {name: tensor.shape for name, tensor in frozen.state_dict().items()} == shapes


@pytest.mark.parametrize("depth", sorted(STAGES))
def test_depth_counts_the_layers(depth):
    with torch.device("meta"):
        resnet = ResNet(BackboneConfig(depth=depth, norm="batch"), classes=10)
    layers = [n for n, m in resnet.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "downsample" not in n]
    assert len(layers) == depth


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return ResNet(TINY).eval()


@given(st.integers(32, 100), st.integers(32, 100))
def test_every_stage_has_the_ceiling_of_the_image_over_the_stride(tiny, height, width):
    with torch.no_grad():
        features = tiny(torch.zeros(1, 3, height, width))
    assert tiny.channels == [16, 32, 64, 128]
    assert [tuple(f.shape) for f in features] == [
        (1, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(tiny.channels, (4, 8, 16, 32), strict=True)
    ]


def test_bottlenecks_widen_fourfold():
    with torch.device("meta"):
        assert ResNet(BackboneConfig(depth=101)).channels == [256, 512, 1024, 2048]  # Table 1


def test_classify_averages_c5():
    resnet = ResNet(TINY, classes=7).eval()
    images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    want = F.linear(resnet(images)[-1].mean(dim=(2, 3)), resnet.fc.weight, resnet.fc.bias)
    torch.testing.assert_close(resnet.classify(images), want)
    with pytest.raises(ValueError, match="classes"):
        ResNet(TINY).classify(images)


@pytest.mark.parametrize("depth, norm", [(18, "group"), (18, "batch"), (50, "group")])
def test_a_fresh_block_is_the_identity(depth, norm):
    """The zero-initialised last scale (Goyal et al. 2017) leaves the shortcut alone, and still lets it be learned."""
    resnet = ResNet(BackboneConfig(depth=depth, width=16, norm=norm))
    block = resnet.layer2[1]
    assert isinstance(block, (BasicBlock, Bottleneck))
    x = torch.rand(2, resnet.channels[1], 6, 6)
    assert torch.equal(block(x), x)
    block(x).pow(2).sum().backward()
    last = block.bn2 if depth == 18 else block.bn3
    assert last.weight.grad.abs().max() > 0


@pytest.mark.parametrize("frozen", range(6))
def test_frozen_stages_are_not_trained_and_the_others_are(frozen):
    resnet = ResNet(BackboneConfig(depth=10, width=16, norm="group", frozen_stages=frozen))
    stages = [("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",)]
    for index, names in enumerate(stages):
        trained = [p.requires_grad for name, p in resnet.named_parameters() if name.split(".")[0] in names]
        assert trained and all(flag == (index >= frozen) for flag in trained)


@given(st.integers(1, 6), st.integers(0, 2**32), st.sampled_from([0.0, 1e-5, 1e-3]))
def test_frozen_batch_norm_is_batch_norm_in_evaluation(channels, seed, eps):
    generator = torch.Generator().manual_seed(seed)
    frozen, batch = FrozenBatchNorm(channels, eps).double(), nn.BatchNorm2d(channels, eps).double().eval()
    state = {name: torch.rand(channels, generator=generator).double() + 0.1 for name in frozen.state_dict()}
    frozen.load_state_dict(state)
    batch.load_state_dict(state, strict=False)
    x = torch.randn(2, channels, 3, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(frozen.train()(x), batch(x))


def test_frozen_batch_norm_has_no_parameters():
    assert not list(FrozenBatchNorm(4).parameters())
    assert set(FrozenBatchNorm(4).state_dict()) == {"weight", "bias", "running_mean", "running_var"}


@pytest.mark.parametrize("channels, groups", [(8, 8), (32, 32), (48, 16), (64, 32), (2048, 32)])
def test_group_norm_takes_32_groups_where_they_divide(channels, groups):
    assert norm_layer("group", channels, 1e-5).num_groups == groups


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="norm"):
        norm_layer("layer", 8, 1e-5)
