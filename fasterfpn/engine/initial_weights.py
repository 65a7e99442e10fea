"""`--weights`: from an earlier run of this program, or from torchvision's state dicts."""

from __future__ import annotations

from pathlib import Path

from fasterfpn.engine.checkpoint import read_checkpoint
from fasterfpn.models import Detector
from fasterfpn.models.weights import Report, load_torchvision, read_weights


def load_initial_weights(detector: Detector, source: str) -> Report:
    """Load what fits from `source`: a run folder or checkpoint, FILE, URL or "imagenet". The report says what was taken.

    Raises `InputError` where the source cannot be read or nothing of it fits.
    """
    path = Path(source)
    if path.is_dir() or path.suffix == ".safetensors":
        return load_same_names(detector, read_checkpoint(path).weights)
    return load_torchvision(detector, read_weights(source, detector.config.backbone.depth))
