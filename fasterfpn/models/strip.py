"""A 3x3 convolution of many small maps, as one of a single wide map: what makes conv5 on proposals fast on a CPU.

P maps (P, C, h, w), a few cells each, give (P, K, ceil(h / stride), ceil(w / stride)), as `nn.Conv2d` does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StripConv2d(nn.Module):
    """What `convolution`, 3x3 with padding 1, computes, for maps of 7 x 7 and 4 x 4 cells by the hundred.

    On a CPU such narrow maps ran at a fraction of the speed of wide ones (presumably as oneDNN blocks over the width).
    Side by side, with a column of zeros after each, they make one wide map: every cell still sees its own map and
    zeros, and every output is the same sum. A stride of s wants each map to start at a multiple of s, so that up to s
    columns are zeros. The two of conv5 on 256 proposals, forward and backward in bfloat16, took 2.7 times less on one
    (busy) core of a Xeon with AMX; in float32 as long as before. On a GPU, and for no map at all, it is the plain
    convolution. It takes over the convolution's parameters under their names. Raises ValueError for another kernel,
    padding, dilation or groups.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        kind = convolution.kernel_size, convolution.padding, convolution.dilation, convolution.groups
        if kind != ((3, 3), (1, 1), (1, 1), 1) or convolution.padding_mode != "zeros":
            raise ValueError("StripConv2d: a 3x3 kernel with padding 1 only, as one column of zeros parts the maps")
        self.weight, self.bias, self.stride = convolution.weight, convolution.bias, convolution.stride

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or len(x) == 0:
            return F.conv2d(x, self.weight, self.bias, self.stride, padding=1)
        count, channels, height, width = x.shape
        stride = self.stride[1]
        pitch = -(-(width + 1) // stride) * stride  # from one map to the next
        strip = F.pad(x, (0, pitch - width)).permute(2, 0, 3, 1)  # (h, P, pitch, C): side by side, channels last
        strip = strip.reshape(1, height, count * pitch, channels).permute(0, 3, 1, 2)  # (1, C, h, P pitch)
        y = F.conv2d(strip, self.weight, self.bias, self.stride, padding=1)
        maps = y[0].unflatten(2, (count, pitch // stride))[..., : -(-width // stride)]  # (K, h', P, w')
        return maps.permute(2, 0, 1, 3).contiguous(memory_format=torch.channels_last)


def replace_in(stage: nn.Module) -> None:
    """Put a `StripConv2d` in the place of every 3x3 convolution of a residual stage; names of weights stay."""
    for block in stage.children():
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                setattr(block, name, StripConv2d(layer))
