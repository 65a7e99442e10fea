"""The files in which a run saves its network: checkpoints to detect with, and resume files to continue training.

A checkpoint holds the tensors under the detector's own names, and in its header the configuration, the class names and
the step. A resume file holds `weights.NAME`, the optimizer's state `optimizer.INDEX.NAME` of each parameter, and the
state `generator` (n,) uint8 of the generator that draws training samples; its header adds `data` (a digest of images
and labels), `progress` and `placement`. The order of the images follows from seed and step. Older files can be read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cattrs
import torch
from torch import Tensor

from fasterfpn.engine.config import Config, config_from_record, config_record
from fasterfpn.engine.placement import Placement
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tensor_file import Header, read_header, read_tensors, write_tensors
from fasterfpn.errors import InputError
from fasterfpn.models import Detector

DETECTOR, TRAINING = "fasterfpn", "fasterfpn training"  # the header's `format`
WEIGHTS, OPTIMIZER, GENERATOR = "weights.", "optimizer.", "generator"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: the run's configuration, class names, step, and the weights by name."""

    config: Config
    classes: tuple[str, ...]
    step: int
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Progress:
    """Steps done, seconds they took, the best validation so far, and the losses since the last row of losses.csv."""

    step: int
    seconds: float
    best_step: int
    best_mAP: float
    losses: tuple[dict[str, float], ...]


def save_checkpoint(path: Path, detector: Detector, config: Config, step: int) -> None:
    """Write a checkpoint atomically. Raises `OutputError`, and `FloatingPointError` if a weight is not finite."""
    weights = detector.state_dict()
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise FloatingPointError(f"the weights {name} are not finite")
    header = {"format": DETECTOR, "config": config_record(config), "classes": detector.classes, "step": step}
    write_tensors(path, weights, header)


def checkpoint_path(run: Path | str) -> Path:
    """The checkpoint file of a run folder (best, else last), or `run` itself if a file. Raises `InputError` if none."""
    run = Path(run)
    if run.is_file():
        return run
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder or checkpoint; train one with python -m fasterfpn.train")
    folder = RunFolder(run)
    if folder.best.is_file():
        return folder.best
    if folder.last.is_file():
        return folder.last
    if folder.config.is_file():
        raise InputError(f"{run}: its training has saved no weights yet; wait until its first epoch has ended")
    names = f"no {folder.best.name} and no {folder.last.name}"
    raise InputError(f"{run}: {names} in this folder; give a run folder or a checkpoint file")


def read_checkpoint(run: Path | str) -> Checkpoint:
    """Read a run folder's or a file's checkpoint. Raises `InputError` for what `save_checkpoint` did not write."""
    path = checkpoint_path(run)
    weights, header = read_tensors(path)
    if header.get("format") != DETECTOR:
        raise InputError(f"{path}: not a checkpoint of this program; other weights can only initialise training")
    classes, step = header.get("classes"), header.get("step")
    named = isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)
    if not named or not isinstance(step, int):
        raise InputError(f"{path}: its class names or its step are damaged; use another checkpoint")
    return Checkpoint(config_from_record(header.get("config"), str(path)), tuple(classes), step, weights)


def load_detector(run: Path | str, device: str | torch.device = "cpu") -> Detector:
    """A detector from a run folder or checkpoint file, in evaluation mode, without gradients. Raises `InputError`."""
    checkpoint = read_checkpoint(run)
    detector = Detector(checkpoint.config.model, checkpoint.classes)
    try:
        detector.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        path = checkpoint_path(run)
        raise InputError(f"{path}: its weights do not fit its own configuration; use another checkpoint") from error
    return detector.requires_grad_(False).to(device).eval()


def save_training(
    path: Path,
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    config: Config,
    data: str,
    placement: Placement,
    progress: Progress,
) -> None:
    """Write a resume file atomically. `data` is a digest of the images and labels. Raises `OutputError`."""
    tensors = {f"{WEIGHTS}{name}": tensor for name, tensor in detector.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{index}.{name}": value for name, value in state.items() if value is not None}
    tensors[GENERATOR] = detector.generator.get_state()
    header = {
        "format": TRAINING,
        "config": config_record(config),
        "classes": detector.classes,
        "data": data,
        "placement": placement.record(),
        "progress": asdict(progress),
    }
    write_tensors(path, tensors, header)


def stopped_training(path: Path) -> tuple[Config, Progress]:
    """The configuration and progress in a resume file. Raises `InputError` for any other or a damaged file."""
    return _stopped(path, read_header(path))


def restore_training(
    path: Path, detector: Detector, optimizer: torch.optim.Optimizer, config: Config, data: str
) -> tuple[Progress, dict[str, Any] | None]:
    """Put the file's state into `detector` and `optimizer`, built as for a fresh start.

    Returns the progress, and the record of its `Placement` (None in files of version 1). Raises `InputError` for a
    damaged file, and if `config`, the class names or the digest `data` differ from those of the stopped training; only
    the path of the data may differ, since it may have been moved.
    """
    tensors, header = read_tensors(path)
    stopped, progress = _stopped(path, header)
    if replace(stopped, data=replace(stopped.data, data=config.data.data)) != config:
        raise InputError(f"{path}: belongs to a training with another configuration; use a new folder")
    if header.get("classes") != list(detector.classes):
        raise InputError(f"{path}: the data has other classes now than when the training was stopped")
    if header.get("data") != data:
        earlier = "" if "placement" in header else ", or resume with the version of fasterfpn that wrote this file"
        raise InputError(
            f"{path}: the images or labels have changed since the training was stopped; train again{earlier}"
        )
    try:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(OPTIMIZER):
                _, index, entry = name.split(".")
                state.setdefault(int(index), {})[entry] = value
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, entries in state.items():
            if any(value.dim() and value.shape != parameters[index].shape for value in entries.values()):
                raise ValueError(f"the optimiser's state {index} has another shape than its weight")
        weights = {name: value for name, value in tensors.items() if name.startswith(WEIGHTS)}
        detector.load_state_dict({name.removeprefix(WEIGHTS): value for name, value in weights.items()})
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        detector.generator.set_state(tensors[GENERATOR])
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise _damaged(path, error) from error
    return progress, header.get("placement")


def _stopped(path: Path, header: Header) -> tuple[Config, Progress]:
    if header.get("format") != TRAINING:
        raise InputError(f"{path}: not a training of this program")
    config = config_from_record(header.get("config"), str(path))
    try:
        progress = cattrs.structure(header["progress"], Progress)
        if progress.step < 0:
            raise ValueError(f"step {progress.step}")
    except (KeyError, ValueError, TypeError, cattrs.BaseValidationError) as error:
        raise _damaged(path, error) from error
    return config, progress


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())  # torch's message has several lines
    return InputError(f"{path}: damaged ({reason}); delete the folder and train again")
