"""Feature pyramid network (fig. 6; Lin et al. 2017, sec. 3).

C2..C5 (N, Ck, Hk, Wk) with Hk = ceil(H / 2^k) give P2..P6, each (N, C, Hk, Wk): strong features at every stride 4..64.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


class FPN(nn.Module):
    """1x1 laterals, nearest upsampling from above, sum, 3x3 outputs; P6 is every second cell of P5.

    Upsampling goes to the size of the lateral, so odd sizes work (nearest, exactly 2x where the size is even). Without
    `top_down` there are no sums: each level sees its own stage of the backbone alone, with as many parameters (Lin et
    al. sec. 5, "without top-down"), which tells what the sums are worth. `norm(channels)` makes the layer that follows
    each convolution and stands in for its bias; by default there is none.
    """

    def __init__(
        self, inputs: list[int], channels: int, top_down: bool = True, norm: Callable[[int], nn.Module] | None = None
    ) -> None:
        super().__init__()
        self.top_down = top_down
        bias = norm is None
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1, bias=bias) for count in inputs)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=bias) for _ in inputs)
        for convolution in [*self.laterals, *self.outputs]:
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            if bias:
                nn.init.zeros_(convolution.bias)
        self.lateral_norms, self.output_norms = (
            nn.ModuleList(nn.Identity() if norm is None else norm(channels) for _ in inputs) for _ in range(2)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """[C2, ..., C5] -> [P2, ..., P6]."""
        laterals = zip(self.laterals, self.lateral_norms, features, strict=True)
        merged = [norm(lateral(feature)) for lateral, norm, feature in laterals]
        for level in reversed(range(len(merged) - 1)) if self.top_down else ():
            merged[level] = merged[level] + F.interpolate(
                merged[level + 1], size=merged[level].shape[-2:], mode="nearest"
            )
        outputs = zip(self.outputs, self.output_norms, merged, strict=True)
        pyramid = [norm(output(feature)) for output, norm, feature in outputs]
        p6 = F.max_pool2d(pyramid[-1], kernel_size=1, stride=2)  # a window of one cell: subsampling
        return [*pyramid, p6]
