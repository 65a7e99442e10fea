"""The slope times the pixel. Breaks the_slope_alone."""

import torch


def saliency_map(answer, image):
    leaf = image.clone().requires_grad_()
    answer(leaf).backward()
    return (leaf.grad * image).abs().amax(dim=0)
