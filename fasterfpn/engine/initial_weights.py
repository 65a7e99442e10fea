"""`--weights`: from an earlier run of this program, or from torchvision's state dicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fasterfpn.engine.checkpoint import read_checkpoint
from fasterfpn.models import Detector
from fasterfpn.models.weights import Report, load_torchvision, read_weights

PREDICTOR = ("box_head.logits.", "box_head.deltas.")


def load_initial_weights(detector: Detector, source: str) -> Report:
    """Load what fits from `source`: a run folder or checkpoint, FILE, URL or "imagenet". The report says what was
    taken.

    An earlier run's predictor is taken only if its classes are the same, in the same order: their number is not enough.
    Raises `InputError` where the source cannot be read or nothing of it fits.
    """
    if not Path(source).is_dir() and not source.endswith(".safetensors"):
        return load_torchvision(detector, read_weights(source, detector.config.backbone.depth))
    checkpoint = read_checkpoint(source)
    if checkpoint.classes == detector.classes:
        return load_torchvision(detector, checkpoint.weights)
    shared = {name: value for name, value in checkpoint.weights.items() if not name.startswith(PREDICTOR)}
    report = load_torchvision(detector, shared)
    other = dict.fromkeys(checkpoint.weights.keys() - shared.keys(), "a predictor for other classes, which starts anew")
    return replace(report, skipped=report.skipped | other)
