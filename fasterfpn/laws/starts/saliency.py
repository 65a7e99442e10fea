"""Exercise saliency: which pixels an answer hangs on (docs/saliency.md)."""

import torch


def saliency_map(answer, image):
    """How much the answer changes with each pixel: (H, W), the largest of the three channels' absolute slopes.

    answer(image) is a scalar tensor, made of the image by torch operations; image (3, H, W) is a float tensor.
    The slope of a channel of a pixel is the derivative of the answer by it, at the image as it is. Leave the image as
    it is.

    Hints: a copy of the image that requires_grad is the leaf; torch.autograd.grad gives the derivative.
    """
    raise NotImplementedError
