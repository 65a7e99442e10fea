"""Configurations that earlier versions wrote, brought up to the present format one version at a time.

Version 1 is what was written before there was a `format_version`. Checkpoints, resume files and config.json all carry
the version within their configuration.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fasterfpn.data.sources import FIRST_BUILT_IN

Record = dict[str, Any]
FORMAT_VERSION = 2

# What `torchvision_compat: true` of version 1 put in place of whatever else the configuration said.
TORCHVISION = {
    "image": {"pad_multiple": 32},
    "scale": {"anchors_rounded": True, "anchor_strides_measured": True},
    "rpn": {
        "rpn_beta": 1 / 9,
        "rpn_every_tie": True,
        "rpn_pre_nms_train": 2000,
        "rpn_pre_nms_test": 1000,
        "rpn_keep_train": 2000,
        "rpn_keep_test": 1000,
        "rpn_nms_iou": 0.7,
        "rpn_min_side": 1e-3,
    },
    "box": {
        "box_beta": 1 / 9,
        "box_weights": [10.0, 10.0, 5.0, 5.0],
        "score_threshold": 0.05,
        "detection_nms_iou": 0.5,
        "detection_min_side": 1e-2,
        "max_detections": 100,
    },
}


def migrate(record: Record) -> Record:
    """The same configuration in the present format, without its `format_version`; `record` is left as it is.

    Raises `ValueError` for a version that this program does not know.
    """
    record = deepcopy(record)
    version = record.pop("format_version", 1)
    if version not in (*MIGRATIONS, FORMAT_VERSION):
        raise ValueError(
            f"format_version {version} needs a newer fasterfpn: this one reads up to {FORMAT_VERSION}; upgrade it"
        )
    for step in range(version, FORMAT_VERSION):
        MIGRATIONS[step](record)
    return record


def _from_1(record: Record) -> None:
    """`torchvision_compat` becomes the values that it stood for; conv4's counts before NMS, once of its whole map, are
    now of each of the five anchor areas on it; the built-in images are others now."""
    model, data = record.get("model"), record.get("data")
    if isinstance(data, dict) and data.get("data") == "synthetic":
        data["data"] = FIRST_BUILT_IN
    if not isinstance(model, dict):
        return
    if model.pop("torchvision_compat", False):
        for part, values in TORCHVISION.items():
            model[part] = model.get(part, {}) | values
    if model.get("architecture") == "conv4":
        for name in ("rpn_pre_nms_train", "rpn_pre_nms_test"):
            model["rpn"][name] = max(1, round(model["rpn"][name] / 5))


MIGRATIONS = {1: _from_1}
