"""Going on with a training that was stopped: all that its further steps depend on, in one safetensors file.

Tensors: `weights.NAME` as the detector names them, `optimizer.INDEX.NAME` of the parameter with that index, and
`generator`, the state (n,) uint8 of what draws the training samples. Metadata: `format`, `config` and `classes` (JSON),
`data` (the digest of the parts) and `progress` (JSON). Nothing in it is executed. The order of the images follows from
the seed and the step.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import cattrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fasterfpn.engine.config import Config, config_from_json, config_to_json
from fasterfpn.errors import InputError
from fasterfpn.models import Detector

RESUME, FORMAT = "resume.safetensors", "fasterfpn training"


@dataclass(frozen=True)
class Progress:
    """Steps done, seconds they took, the best validation so far, and what the next line of losses.csv sums up."""

    step: int
    seconds: float
    best_step: int
    best_mAP: float
    losses: tuple[dict[str, float], ...]


def save_training(
    path: Path, detector: Detector, optimizer: torch.optim.Optimizer, config: Config, data: str, progress: Progress
) -> None:
    """Write the file; an earlier one is replaced only by a whole one. `data` is the digest of the parts."""
    tensors = {f"weights.{name}": tensor for name, tensor in detector.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None}
    tensors["generator"] = detector.generator.get_state()
    metadata = {
        "format": FORMAT,
        "config": config_to_json(config),
        "classes": json.dumps(detector.classes),
        "data": data,
        "progress": json.dumps(asdict(progress)),
    }
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata)
    os.replace(partial, path)


def stopped_config(folder: Path) -> Config:
    """The configuration of the training that was stopped in `folder`. Raises `InputError` where there is none."""
    path = folder / RESUME
    return config_from_json(_read(path)[1].get("config", ""), str(path))


def restore_training(
    path: Path, detector: Detector, optimizer: torch.optim.Optimizer, config: Config, data: str
) -> Progress:
    """Put the file's state into `detector` and `optimizer`, built as for a fresh start, and return how far it had come.

    Raises `InputError` where `config`, the class names or `data` are not those of the training that was stopped.
    """
    tensors, metadata = _read(path)
    if config_from_json(metadata.get("config", ""), str(path)) != config:
        raise InputError(f"{path}: belongs to a training with another configuration; give a new folder")
    if metadata.get("classes") != json.dumps(detector.classes):
        raise InputError(f"{path}: the data has other classes now than when the training was stopped")
    if metadata.get("data") != data:
        raise InputError(f"{path}: the images or labels have changed since the training was stopped; train anew")
    try:
        progress = cattrs.structure(json.loads(metadata["progress"]), Progress)
        if progress.step < 0:
            raise ValueError(f"step {progress.step}")
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            _, index, field = name.split(".")
            state.setdefault(int(index), {})[field] = tensors[name]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, fields in state.items():
            if any(value.dim() and value.shape != parameters[index].shape for value in fields.values()):
                raise ValueError(f"the optimiser's state {index} has another shape than its weight")
        prefix = "weights."
        detector.load_state_dict({name.removeprefix(prefix): tensors[name] for name in tensors if prefix in name})
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        detector.generator.set_state(tensors["generator"])
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError, cattrs.BaseValidationError) as error:
        reason = " ".join(str(error).split())  # torch's message has several lines
        raise InputError(f"{path}: damaged ({reason}); delete the folder and train anew") from error
    return progress


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    if not path.is_file():
        raise InputError(f"{path.parent}: holds no {RESUME}; no training was stopped there after it was first saved")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); is it whole?") from error
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path}: not a training of this program")
    return tensors, metadata
