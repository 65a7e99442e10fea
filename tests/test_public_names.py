"""The names that others build on are where the design says, and are what it says."""

import inspect
from importlib import import_module

import pytest

NAMES = {
    "fasterfpn": ("Detector", "build_detector", "load_detector", "read_image"),
    "fasterfpn.geometry": (
        *("box_area", "box_iou", "clip_boxes", "encode_boxes", "decode_boxes", "pyramid_anchors", "assign_levels"),
    ),
    "fasterfpn.ops": ("nms", "batched_nms", "roi_max_pool", "multiscale_roi_max_pool", "backends", "use_backend"),
    "fasterfpn.engine": ("average_precision",),
    "fasterfpn.models.weights": ("load_torchvision", "to_torchvision"),
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_public_names_can_be_called_and_say_what_they_do(module, name):
    found = getattr(import_module(module), name)
    assert callable(found) and not inspect.ismodule(found)
    assert inspect.getdoc(found)
