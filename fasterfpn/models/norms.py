"""Normalisation layers of the backbone, by name. x is (N, C, H, W)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fasterfpn.errors import InputError
from fasterfpn.models.config import Norm


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with statistics and scales that stay as they were loaded (He et al. 2017, sec. 3.1).

    With one or two images a batch, their own statistics would be too noisy, so detectors keep those of ImageNet.
    Parameter names are `nn.BatchNorm2d`'s; all four are buffers, invisible to the optimiser.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        # y = weight (x - mean) / sqrt(var + eps) + bias, gathered into one scale and one shift a channel
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None].to(x.dtype) + shift[:, None, None].to(x.dtype)


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` that says what to do where one value a channel leaves nothing to average over in training."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            raise InputError(
                f"batch norm: maps of shape {tuple(x.shape)} have one value a channel, which has no variance to train "
                "with; take more images a step, larger images, or group norm"
            )
        return super().forward(x)


def norm_layer(norm: Norm, channels: int, eps: float) -> nn.Module:
    """The layer of that name. Group norm has 32 groups (Wu and He 2018), fewer where 32 does not divide `channels`."""
    if norm == "frozen_batch":
        return FrozenBatchNorm(channels, eps)
    if norm == "batch":
        return BatchNorm(channels, eps)
    if norm == "group":
        return nn.GroupNorm(math.gcd(32, channels), channels, eps)
    raise ValueError(f"norm must be frozen_batch, batch or group, not {norm!r}")
