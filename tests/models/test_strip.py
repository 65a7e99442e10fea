"""The convolution of maps laid side by side is the convolution of each map: values and gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fasterfpn.models.config import BackboneConfig
from fasterfpn.models.resnet import residual_stage
from fasterfpn.models.strip import StripConv2d, replace_in

side = st.integers(1, 8)


@given(st.integers(0, 5), side, side, st.sampled_from([1, 2, 3]), st.booleans(), st.integers(0, 2**32))
def test_it_is_the_plain_convolution(maps, height, width, stride, bias, seed):
    generator = torch.Generator().manual_seed(seed)
    convolution = StripConv2d(nn.Conv2d(3, 4, 3, stride, padding=1, bias=bias)).double()
    x = torch.randn(maps, 3, height, width, generator=generator, dtype=torch.float64, requires_grad=True)
    plain_x = x.detach().clone().requires_grad_()
    plain_weight = convolution.weight.detach().clone().requires_grad_()
    strip, plain = convolution(x), F.conv2d(plain_x, plain_weight, convolution.bias, stride, padding=1)
    assert strip.shape == plain.shape
    torch.testing.assert_close(strip, plain)
    slope = torch.randn(plain.shape, generator=generator, dtype=torch.float64)
    strip.backward(slope)
    plain.backward(slope)
    torch.testing.assert_close(x.grad, plain_x.grad)
    torch.testing.assert_close(convolution.weight.grad, plain_weight.grad)


def test_a_map_knows_nothing_of_its_neighbours():
    convolution = StripConv2d(nn.Conv2d(2, 2, 3, 2, padding=1, bias=False)).double()
    x = torch.randn(3, 2, 7, 7, dtype=torch.float64)
    before = convolution(x)
    x[1] += 1
    after = convolution(x)
    torch.testing.assert_close(after[::2], before[::2])
    assert not torch.allclose(after[1], before[1])


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_in_training_the_maps_lie_side_by_side(monkeypatch, dtype, tolerance):
    seen, plain = [], F.conv2d

    def recorded(x, *rest, **named):
        seen.append(tuple(x.shape))
        return plain(x, *rest, **named)

    monkeypatch.setattr(F, "conv2d", recorded)
    convolution = StripConv2d(nn.Conv2d(16, 16, 3, 2, padding=1, bias=False)).to(memory_format=torch.channels_last)
    x = torch.randn(5, 16, 7, 7).to(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        strip, expected = convolution(x), plain(x, convolution.weight, stride=2, padding=1)
    assert seen == [(1, 16, 7, 5 * 8)]
    assert strip.dtype == dtype and strip.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(strip, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("change", [{"kernel_size": 5, "padding": 2}, {"padding": 0}, {"dilation": 2}, {"groups": 2}])
def test_what_would_mix_the_maps_is_refused(change):
    with pytest.raises(ValueError, match="3x3"):
        StripConv2d(nn.Conv2d(2, 2, **{"kernel_size": 3, "padding": 1, **change}))


@pytest.mark.parametrize("depth", [10, 50])
def test_replacing_keeps_the_names_and_what_a_stage_computes(depth):
    stage = residual_stage(BackboneConfig(depth=depth, width=16, norm="group"), 3).double()
    x = torch.randn(3, stage[0].conv1.in_channels, 7, 7, dtype=torch.float64)
    before, names = stage(x), list(stage.state_dict())
    replace_in(stage)
    assert sum(isinstance(module, StripConv2d) for module in stage.modules()) == (2 if depth == 10 else 3)
    assert list(stage.state_dict()) == names
    torch.testing.assert_close(stage(x), before)
