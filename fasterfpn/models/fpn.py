"""Feature pyramid network (fig. 6; Lin et al. 2017, sec. 3).

C2..C5 (N, Ck, Hk, Wk) with Hk = ceil(H / 2^k) give P2..P6, each (N, C, Hk, Wk): strong features at every stride 4..64.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class FPN(nn.Module):
    """1x1 laterals, nearest upsampling from above, sum, 3x3 outputs; P6 is every second cell of P5.

    Upsampling goes to the size of the lateral, so odd sizes work (nearest, exactly 2x where the size is even). Without
    `top_down` there are no sums: each level sees its own stage of the backbone alone, with as many parameters (Lin et
    al. sec. 5, "without top-down"), which tells what the sums are worth.
    """

    def __init__(self, inputs: list[int], channels: int, top_down: bool = True) -> None:
        super().__init__()
        self.top_down = top_down
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in inputs)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)
        for convolution in [*self.laterals, *self.outputs]:
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(convolution.bias)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """[C2, ..., C5] -> [P2, ..., P6]."""
        # 1x1 laterals bring every stage to C channels.
        merged = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        # From the coarsest down, each level adds the one above at twice its size: (N, C, Hk, Wk).
        for level in reversed(range(len(merged) - 1)) if self.top_down else ():
            merged[level] = merged[level] + F.interpolate(
                merged[level + 1], size=merged[level].shape[-2:], mode="nearest"
            )
        # A 3x3 convolution reduces the aliasing of the upsampling (Lin et al. sec. 3).
        pyramid = [output(feature) for output, feature in zip(self.outputs, merged, strict=True)]
        p6 = F.max_pool2d(pyramid[-1], kernel_size=1, stride=2)  # a window of one cell: subsampling
        return [*pyramid, p6]


class LastStage(nn.Module):
    """What stands in the pyramid's place where there is none: the last stage's map alone, [.., C4] -> [C4]."""

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return features[-1:]
