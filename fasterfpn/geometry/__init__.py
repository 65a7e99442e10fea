"""Box arithmetic: tensors in, tensors out. Boxes are float `x1 y1 x2 y2`, pixels, continuous (width = x2 - x1).

boxes     area, intersection over union, clipping
coding    boxes as deltas from anchors and back (eq. 4, eq. 1)
anchors   the 15 kinds of anchors over the pyramid P2..P6 (figure 8)
matching  anchors or proposals to ground truth, and the balanced sample that the losses see
levels    which pyramid level pools a proposal (eq. 2)

Equations, figures and sections without a name are those of Wei and Bi, Materials 2019, 12, 1681.
"""

from fasterfpn.geometry.anchors import Anchors, cell_anchors, grid_anchors, pyramid_anchors
from fasterfpn.geometry.boxes import box_area, box_iou, clip_boxes, large_enough
from fasterfpn.geometry.coding import decode_boxes, encode_boxes
from fasterfpn.geometry.levels import assign_levels
from fasterfpn.geometry.matching import match_boxes, sample_balanced

__all__ = [
    "Anchors",
    "assign_levels",
    "box_area",
    "box_iou",
    "cell_anchors",
    "clip_boxes",
    "decode_boxes",
    "encode_boxes",
    "grid_anchors",
    "large_enough",
    "match_boxes",
    "pyramid_anchors",
    "sample_balanced",
]
