"""The gradient by the pixels."""

import torch


def saliency_map(answer, image):
    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(answer(leaf), leaf)
    return gradient.abs().amax(dim=0)
