"""Faster R-CNN with a feature pyramid for surface defects, from scratch (Wei and Bi, Materials 2019, 12, 1681).

This is the roof: it only hands names on, and imports what stands behind a name when it is first asked for, so that
`fasterfpn.geometry`, `fasterfpn.ops` and `fasterfpn.models` need nothing but torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
_HOMES = {
    "Detector": "fasterfpn.models.detector",
    "build_detector": "fasterfpn.models.detector",
    "load_detector": "fasterfpn.engine.checkpoint",
    "read_image": "fasterfpn.data.images",
}
__all__ = ["Detector", "build_detector", "load_detector", "read_image"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
