"""The feature pyramid against figure 6: sizes, top-down sums, and what each level sees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.laws.fpn import by_definition
from fasterfpn.models.fpn import FPN

CHANNELS = [2, 3, 4, 5]
size = st.integers(1, 150)


def backbone_like(height, width, seed=0, channels=CHANNELS):
    """C2..C5 of an image of that size: noise."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(1, count, -(-height // stride), -(-width // stride), generator=generator, dtype=torch.float64)
        for count, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.fixture(scope="module")
def fpn():
    torch.manual_seed(0)
    return FPN(CHANNELS, 6).double()


def transparent_fpn(channels=2):
    """Laterals and output convolutions that hand their input on: what is left are the sums from above."""
    fpn = FPN([channels] * 4, channels).double()
    with torch.no_grad():
        for layer in [*fpn.laterals, *fpn.outputs]:
            torch.nn.init.dirac_(layer.weight)
    return fpn


@given(size, size)
def test_levels_have_the_ceiling_of_the_image_over_the_stride(fpn, height, width):
    pyramid = fpn(backbone_like(height, width))
    want = [(1, 6, -(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32, 64)]
    assert [tuple(level.shape) for level in pyramid] == want


@given(size, size)
def test_p6_is_every_second_cell_of_p5(fpn, height, width):
    *_, p5, p6 = fpn(backbone_like(height, width))
    assert torch.equal(p6, p5[:, :, ::2, ::2])


@given(size, size, st.integers(0, 2**32))
def test_each_level_is_its_own_plus_the_nearest_cell_of_the_level_above(height, width, seed):
    features = backbone_like(height, width, seed, channels=[2] * 4)
    wanted = by_definition(features, laterals=(1, 1, 1, 1), outputs=(1, 1, 1, 1))
    torch.testing.assert_close(transparent_fpn()(features), wanted)


@given(st.integers(1, 4), st.integers(1, 4))
def test_upsampling_is_exactly_twofold_where_sizes_are_even(rows, columns):
    features = [torch.zeros_like(f) for f in backbone_like(32 * rows, 32 * columns, channels=[2] * 4)]
    features[3].normal_()
    pyramid = transparent_fpn()(features)
    for level, factor in ((2, 2), (1, 4), (0, 8)):
        want = features[3].repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
        assert torch.equal(pyramid[level], want)


@given(size, size, st.floats(-3, 3), st.floats(-3, 3))
def test_without_biases_the_pyramid_is_linear(fpn, height, width, a, b):
    first, second = backbone_like(height, width, 1), backbone_like(height, width, 2)
    both = fpn([a * f + b * s for f, s in zip(first, second, strict=True)])
    for level, f, s in zip(both, fpn(first), fpn(second), strict=True):
        torch.testing.assert_close(level, a * f + b * s, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("changed", range(4))
def test_information_flows_down_only(fpn, changed):
    features = backbone_like(100, 140)
    before = fpn(features)
    features[changed] = features[changed] + 1
    after = fpn(features)
    same = [torch.equal(b, a) for b, a in zip(before, after, strict=True)]
    # C_k reaches P_k and all finer levels; C5 reaches P6 too.
    assert same == [level > changed and not (changed == 3 and level == 4) for level in range(5)]
