"""The best placed anchor of each shape is the best of all anchors of that shape."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.geometry import Anchors, box_iou, pyramid_anchors
from fasterfpn.geometry.anchor_fit import best_anchor_iou

AREAS, STRIDES = (8.0**2, 30.0**2), (4, 16)


@given(
    st.integers(33, 90),
    st.integers(33, 90),
    st.lists(st.tuples(*[st.floats(0.0, 1.0, width=32)] * 4), min_size=1, max_size=5),
)
def test_agrees_with_all_anchors(height, width, corners):
    boxes = []
    for a, b, c, d in corners:
        (x1, x2), (y1, y2) = sorted((a * width, b * width)), sorted((c * height, d * height))
        boxes.append((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)))
    boxes = torch.tensor(boxes)
    found = best_anchor_iou(
        boxes, torch.tensor([[height, width]]).expand(len(boxes), 2), Anchors(STRIDES, tuple((area,) for area in AREAS))
    )
    levels = pyramid_anchors((height, width), AREAS, strides=STRIDES)
    best = [box_iou(boxes, level).unflatten(1, (-1, 3)).amax(1) for level in levels]
    torch.testing.assert_close(found, torch.cat(best, dim=1), atol=1e-5, rtol=1e-4)


def test_a_single_map_with_all_areas_has_the_columns_of_as_many_levels_of_its_stride():
    boxes, sizes = torch.tensor([[3.0, 4, 40, 30]]), torch.tensor([[64, 64]])
    together = best_anchor_iou(boxes, sizes, Anchors((16,), (AREAS,)))
    apart = best_anchor_iou(boxes, sizes, Anchors((16, 16), tuple((area,) for area in AREAS)))
    assert together.shape == (1, 6) and torch.equal(together, apart)
