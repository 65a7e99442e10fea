"""How well each shape of anchor can match given objects, wherever they lie (figure 8).

M objects, L levels, A anchors a cell; boxes (M, 4) and sizes (M, 2) = (H, W) of their images, in pixels of the
network's input.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fasterfpn.geometry.anchors import Anchors, cell_anchors
from fasterfpn.geometry.boxes import box_area


def best_anchor_iou(boxes: Tensor, sizes: Tensor, anchors: Anchors) -> Tensor:
    """The IoU of each object with the best placed anchor of each shape: (M, L * A), in the order level, area, ratio.

    Of the anchors of one shape, the one centred nearest to the object's centre overlaps it most, along x and y alike;
    so one is computed instead of all 306,900. Strides are those of `anchors`, measured or not.
    """
    centre, columns = (boxes[:, :2] + boxes[:, 2:]) / 2, []
    for areas, stride in zip(anchors.areas, anchors.strides, strict=True):
        last = (sizes.flip(1) / stride).ceil() - 1  # (M, 2): index of the last cell along x and y
        cell = (centre / stride).round().clamp(min=0).minimum(last) * stride  # (M, 2): centre of the nearest cell
        for area in areas:
            for shape in cell_anchors(area, anchors.ratios, dtype=boxes.dtype, rounded=anchors.rounded):
                anchor = torch.cat([cell, cell], dim=1) + shape  # (M, 4)
                corners = torch.maximum(anchor[:, :2], boxes[:, :2]), torch.minimum(anchor[:, 2:], boxes[:, 2:])
                inter = box_area(torch.cat(corners, dim=1))
                columns.append(inter / (box_area(anchor) + box_area(boxes) - inter))
    return torch.stack(columns, dim=1)
