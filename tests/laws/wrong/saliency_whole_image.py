"""The gradient is left on the image itself, where it adds up. Breaks again_and_again."""

import torch


def saliency_map(answer, image):
    leaf = image.requires_grad_()
    answer(leaf).backward()
    return leaf.grad.abs().amax(dim=0)
