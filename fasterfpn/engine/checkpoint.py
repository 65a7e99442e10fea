"""Checkpoints: safetensors files that hold weights, configuration and class names, alone enough to detect.

Nothing in them is executed. A run folder holds `model.safetensors` (best on validation) and `last.safetensors`.
Inside: the tensors under the detector's own names; metadata `format`, `config` (JSON), `classes` (JSON list), `step`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fasterfpn.engine.config import Config, config_from_json, config_to_json
from fasterfpn.errors import InputError
from fasterfpn.models import Detector

BEST, LAST = "model.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: the run's configuration, class names, step, and the weights by name."""

    config: Config
    classes: tuple[str, ...]
    step: int
    weights: dict[str, Tensor]


def save_checkpoint(path: Path, detector: Detector, config: Config, step: int) -> None:
    """Write weights, `config`, class names and `step`; an existing file is replaced only by a whole one.

    Raises `FloatingPointError`, writing nothing, where a weight is not finite.
    """
    metadata = {
        "format": "fasterfpn",
        "config": config_to_json(config),
        "classes": json.dumps(detector.classes),
        "step": str(step),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.state_dict().items()}
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise FloatingPointError(f"the weights {name} are not finite")
    partial = path.with_name(path.name + ".partial")
    save_file(weights, partial, metadata)
    os.replace(partial, path)


def checkpoint_path(run: Path | str) -> Path:
    """The checkpoint file of a run folder (the best one, else the last), or the file itself."""
    run = Path(run)
    if run.is_file():
        return run
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder or checkpoint; train one with python -m fasterfpn.train")
    for name in (BEST, LAST):
        if (run / name).is_file():
            return run / name
    raise InputError(f"{run}: no {BEST} and no {LAST} in this folder; give a run folder or a checkpoint file")


def read_checkpoint(run: Path | str) -> Checkpoint:
    """Read a run folder's or a file's checkpoint. Raises `InputError` for what `save_checkpoint` did not write."""
    path = checkpoint_path(run)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); is it whole?") from error
    if metadata.get("format") != "fasterfpn":
        raise InputError(f"{path}: not a checkpoint of this program; other weights come in through train --weights")
    try:
        classes = tuple(json.loads(metadata["classes"]))
        step = int(metadata["step"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: its class names or step are damaged; take another checkpoint") from error
    if not classes or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{path}: its class names are damaged; take another checkpoint")
    return Checkpoint(config_from_json(metadata.get("config", ""), str(path)), classes, step, weights)


def load_detector(run: Path | str, device: str | torch.device = "cpu") -> Detector:
    """A detector to detect with, from a run folder or a checkpoint file; `detector.classes` are its class names.

    It is in evaluation mode and its weights ask for no gradient; `requires_grad_()` and `train()` change that.
    """
    checkpoint = read_checkpoint(run)
    detector = Detector(checkpoint.config.model, checkpoint.classes)
    try:
        detector.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise InputError(
            f"{checkpoint_path(run)}: its weights do not fit its own configuration; take another checkpoint"
        ) from error
    return detector.requires_grad_(False).to(device).eval()
