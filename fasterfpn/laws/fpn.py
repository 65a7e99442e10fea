"""Laws of the feature pyramid: its sizes, its sums from above, and P6."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from hypothesis import strategies as st
from torch import Tensor

from fasterfpn.laws.law import expect, law, several
from fasterfpn.models.fpn import FPN

side = st.integers(1, 70)
factors = st.tuples(*[st.integers(1, 3)] * 4)
seeds = st.integers(0, 100)


@dataclass(frozen=True)
class Times:
    """What stands in a convolution's place: a number times the map."""

    factor: int

    def __call__(self, feature: Tensor) -> Tensor:
        return self.factor * feature

    def __repr__(self) -> str:
        return f"times {self.factor}"


def reference(features, laterals, outputs):
    """The shipped pyramid with these layers."""
    return FPN.forward(SimpleNamespace(laterals=laterals, outputs=outputs, top_down=True), features)


def stages(height, width, seed=0):
    """C2..C5 of an image of that size, one channel of whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(-9, 10, (1, 1, -(-height // stride), -(-width // stride)), generator=generator).float()
        for stride in (4, 8, 16, 32)
    ]


def layers(laterals, outputs):
    """Layers that multiply by these numbers."""
    return [Times(factor) for factor in laterals], [Times(factor) for factor in outputs]


def by_definition(features, laterals, outputs):
    """P2..P6, where the layers multiply by numbers: each cell adds the cell of the level above that covers it."""
    merged = [factor * feature for factor, feature in zip(laterals, features)]
    for level in (2, 1, 0):
        (h, w), (above_h, above_w) = merged[level].shape[-2:], merged[level + 1].shape[-2:]
        rows = torch.tensor([y * above_h // h for y in range(h)])
        columns = torch.tensor([x * above_w // w for x in range(w)])
        merged[level] = merged[level] + merged[level + 1][:, :, rows][:, :, :, columns]
    pyramid = [factor * level for factor, level in zip(outputs, merged)]
    return [*pyramid, pyramid[-1][:, :, ::2, ::2]]


def levels(feature_pyramid, features, laterals=(1, 1, 1, 1), outputs=(1, 1, 1, 1)):
    """P2..P6 of the implementation."""
    return several(feature_pyramid(features, *layers(laterals, outputs)), 5, "P2, P3, P4, P5 and P6, as a list")


@law(
    height=side,
    width=side,
)
def five_levels_of_any_size(feature_pyramid, height, width):
    """Five levels come back, P2..P6; the last has half the cells of P5 a side, rounded up; odd sizes work."""
    found = levels(feature_pyramid, stages(height, width))
    for name, level, stride in zip(("P2", "P3", "P4", "P5", "P6"), found, (4, 8, 16, 32, 64)):
        shape = (1, 1, -(-height // stride), -(-width // stride))
        expect(list(level.shape), list(shape), f"the shape of {name}")


@law(height=side, width=side, seed=seeds, factors=factors)
def the_top_has_nothing_above(feature_pyramid, height, width, seed, factors):
    """P5 is C5 through its lateral and its output layer."""
    features = stages(height, width, seed)
    expect(levels(feature_pyramid, features, factors)[3], features[3] * factors[3], "P5")


@law(
    height=st.integers(33, 200),
    width=st.integers(33, 200),
    seed=seeds,
    factors=factors,
)
def p6_is_every_second_cell_of_p5(feature_pyramid, height, width, seed, factors):
    """P6 is every second cell of P5, not the maximum of four, and not made from C5."""
    features = stages(height, width, seed)
    expect(
        levels(feature_pyramid, features, (1, 1, 1, 2), factors)[4],
        (2 * factors[3] * features[3])[:, :, ::2, ::2],
        "P6",
    )


@law(
    height=st.integers(33, 100),
    width=st.integers(33, 100),
    seed=seeds,
)
def the_top_reaches_the_bottom(feature_pyramid, height, width, seed):
    """C5 reaches every level, each cell copied to those that it covers (nearest, not interpolated)."""
    features = stages(height, width, seed)
    features[:3] = [torch.zeros_like(feature) for feature in features[:3]]
    found, due = levels(feature_pyramid, features), by_definition(features, (1,) * 4, (1,) * 4)
    for name, level, wanted in zip(("P4", "P3", "P2"), found[2::-1], due[2::-1]):
        expect(level, wanted, name)


@law(height=side, width=side, outputs=factors)
def summed_before_the_output_layer(feature_pyramid, height, width, outputs):
    """What is handed down is the sum before its output layer."""
    features = [torch.ones_like(feature) for feature in stages(height, width)]
    due = by_definition(features, (1,) * 4, outputs)
    for name, level, wanted in zip(("P2", "P3", "P4", "P5"), levels(feature_pyramid, features, outputs=outputs), due):
        expect(level, wanted, name)


@law(height=side, width=side, seed=seeds, laterals=factors, outputs=factors)
def follows_from_the_definition(feature_pyramid, height, width, seed, laterals, outputs):
    """All of it together."""
    features = stages(height, width, seed)
    due = by_definition(features, laterals, outputs)
    for name, level, wanted in zip(
        ("P2", "P3", "P4", "P5", "P6"), levels(feature_pyramid, features, laterals, outputs), due
    ):
        expect(level, wanted, name)


def typical():
    """An image of 320 x 240."""
    return stages(240, 320), *layers((1, 1, 1, 1), (1, 1, 1, 1))
