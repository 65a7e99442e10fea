"""Laws of saliency: the largest slope of an answer by the three channels of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from fasterfpn.laws.law import expect, expect_that, law, values
from fasterfpn.laws.plain import plain

TOLERANCE = 2e-2  # slopes from differences in float32 are welcome
number = st.integers(-4, 4)
seeds, side = st.integers(0, 100), st.integers(1, 3)


@dataclass(frozen=True)
class Weighted:
    """An answer, a scalar: the sum of weights (3, H, W) times the image to some power, over the power."""

    weights: Tensor
    power: int = 1

    def __call__(self, image: Tensor) -> Tensor:
        return (self.weights * image**self.power).sum() / self.power

    def __repr__(self) -> str:
        return f"sum(weights * image ** {self.power}) / {self.power} with weights {plain(self.weights)}"


def reference(answer, image):
    """The derivative by torch, and the largest of three channels."""
    image = image.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(answer(image), image)
    return gradient.abs().amax(0)


def picture(height, width, seed, low=-4):
    """Whole numbers (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, 5, (3, height, width), generator=generator).float()


@law(height=side, width=side)
def one_number_a_pixel(saliency_map, height, width):
    """The map has one number a pixel: (H, W)."""
    result = values(saliency_map(Weighted(torch.ones(3, height, width)), picture(height, width, 0)))
    expect_that(
        tuple(result.shape) == (height, width), f"the map has shape {(height, width)}, not {tuple(result.shape)}"
    )


@law(
    weights=st.tuples(*[st.integers(0, 4)] * 3),
)
def the_largest_channel(saliency_map, weights):
    """Of the three channels the largest slope counts, not their sum and not their mean."""
    weighted = Weighted(torch.tensor(weights, dtype=torch.float32).reshape(3, 1, 1))
    expect(saliency_map(weighted, torch.ones(3, 1, 1)), [[float(max(weights))]], tolerance=TOLERANCE)


@law(weight=st.integers(-4, 4))
def its_absolute_value(saliency_map, weight):
    """A slope downwards counts as much as one upwards: its absolute value."""
    weighted = Weighted(torch.full((3, 1, 1), float(weight)))
    expect(saliency_map(weighted, torch.ones(3, 1, 1)), [[float(abs(weight))]], tolerance=TOLERANCE)


@law(weight=number, pixel=number)
def the_slope_alone(saliency_map, weight, pixel):
    """It is the slope alone, not the slope times the pixel: a black pixel may matter most."""
    weighted = Weighted(torch.full((3, 1, 1), float(weight)))
    expect(saliency_map(weighted, torch.full((3, 1, 1), float(pixel))), [[float(abs(weight))]], tolerance=TOLERANCE)


@law(
    height=side,
    width=side,
    seed=seeds,
    power=st.sampled_from([1, 2]),
)
def at_the_image_itself(saliency_map, height, width, seed, power):
    """The slope is taken at the image that was given."""
    weighted, image = Weighted(picture(height, width, seed), power), picture(height, width, seed + 1)
    slope = weighted.weights * image ** (power - 1)
    expect(saliency_map(weighted, image), slope.abs().amax(0), tolerance=TOLERANCE)


@law(weight=number)
def again_and_again(saliency_map, weight):
    """It works twice in a row with the same image: nothing adds up."""
    weighted, image = Weighted(torch.full((3, 1, 1), float(weight))), torch.ones(3, 1, 1)
    for name in ("the first map", "the second map"):
        expect(saliency_map(weighted, image), [[float(abs(weight))]], name, tolerance=TOLERANCE)


def typical():
    """An image of 64 x 64."""
    return Weighted(picture(64, 64, 0), 2), picture(64, 64, 1)
