"""How well each shape of anchor can match given objects, wherever they lie (figure 8).

M objects, L levels, A ratios; boxes (M, 4) and sizes (M, 2) = (H, W) of their images, in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fasterfpn.geometry.anchors import AREAS, RATIOS, STRIDES, cell_anchors
from fasterfpn.geometry.boxes import box_area


def best_anchor_iou(
    boxes: Tensor,
    sizes: Tensor,
    areas: Sequence[float] = AREAS,
    ratios: Sequence[float] = RATIOS,
    strides: Sequence[float] = STRIDES,
) -> Tensor:
    """The IoU of each object with the best placed anchor of each shape: (M, L * A), in the order level, ratio.

    Of anchors of one shape, the one centred nearest to the object's centre overlaps it most, along x and y alike; so
    one is computed instead of all 306,900.
    """
    centre, columns = (boxes[:, :2] + boxes[:, 2:]) / 2, []
    for area, stride in zip(areas, strides, strict=True):
        last = (sizes.flip(1) / stride).ceil() - 1  # index of the last cell along x and y
        cell = (centre / stride).round().clamp(min=0).minimum(last) * stride
        for shape in cell_anchors(area, ratios, dtype=boxes.dtype):
            anchor = torch.cat([cell, cell], dim=1) + shape
            corners = torch.maximum(anchor[:, :2], boxes[:, :2]), torch.minimum(anchor[:, 2:], boxes[:, 2:])
            inter = box_area(torch.cat(corners, dim=1))
            columns.append(inter / (box_area(anchor) + box_area(boxes) - inter))
    return torch.stack(columns, dim=1)
