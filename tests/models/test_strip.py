"""The convolution of maps laid side by side is the convolution of each map: values and gradients."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from fasterfpn.models.strip import StripConv2d

side = st.integers(1, 8)


@given(st.integers(0, 5), side, side, st.sampled_from([1, 2]), st.integers(0, 2**32))
def test_it_is_the_plain_convolution(maps, height, width, stride, seed):
    generator = torch.Generator().manual_seed(seed)
    convolution = StripConv2d(3, 4, 3, stride, padding=1, bias=False).double()
    x = torch.randn(maps, 3, height, width, generator=generator, dtype=torch.float64, requires_grad=True)
    plain_x = x.detach().clone().requires_grad_()
    plain_weight = convolution.weight.detach().clone().requires_grad_()
    strip, plain = convolution(x), F.conv2d(plain_x, plain_weight, stride=stride, padding=1)
    assert strip.shape == plain.shape
    torch.testing.assert_close(strip, plain)
    slope = torch.randn(plain.shape, generator=generator, dtype=torch.float64)
    strip.backward(slope)
    plain.backward(slope)
    torch.testing.assert_close(x.grad, plain_x.grad)
    torch.testing.assert_close(convolution.weight.grad, plain_weight.grad)


def test_a_map_knows_nothing_of_its_neighbours():
    convolution = StripConv2d(2, 2, 3, 2, padding=1, bias=False).double()
    x = torch.randn(3, 2, 7, 7, dtype=torch.float64)
    before = convolution(x)
    x[1] += 1
    after = convolution(x)
    torch.testing.assert_close(after[::2], before[::2])
    assert not torch.allclose(after[1], before[1])
