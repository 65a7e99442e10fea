"""torchvision as an oracle, where it is installed: the same indices and the same values, exactly."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import BACKENDS, box_sets, pooling_cases

from fasterfpn.ops import nms, roi_max_pool, use_backend

torchvision = pytest.importorskip("torchvision")


@BACKENDS
@given(box_sets((torch.float32, torch.float64)), st.floats(0, 1) | st.integers(0, 100).map(lambda k: k / 100))
def test_nms(backend, boxes_scores_segments, threshold):
    boxes, scores, _ = boxes_scores_segments
    with use_backend(backend):
        kept = nms(boxes, scores, threshold)
    assert torch.equal(kept, torchvision.ops.nms(boxes, scores, threshold))


@BACKENDS
@given(pooling_cases((torch.float32, torch.float64), values=("plain", "ties")))
def test_roi_max_pool(backend, case):
    """On the first level of a case; RoIs in the features' type, in order and below 2^24 cells, for which both are
    defined alike."""
    (feature, *_), rois, _, (scale, *_), size = case
    rois = rois.to(feature.dtype)
    ordered = (rois[:, 3:] >= rois[:, 1:3]).all(1) & (rois[:, 1:].abs() < 1e4).all(1)
    with use_backend(backend):
        values = roi_max_pool(feature, rois[ordered], scale, size)
    if feature.numel():
        assert torch.equal(values, torchvision.ops.roi_pool(feature.contiguous(), rois[ordered], size, scale))
