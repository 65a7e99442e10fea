"""Detections of a whole part as one small file: safetensors with all boxes in a row and where each image begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fasterfpn.errors import InputError

NAMES = ("boxes", "labels", "scores")


@dataclass(frozen=True)
class Speed:
    """The seconds that one image takes, and where that was measured."""

    seconds_per_image: float
    device: str
    threads: int


def save_detections(path: Path, detections: Sequence[Mapping[str, Tensor]], speed: Speed) -> None:
    """`detections` of N >= 1 images, and how fast they were."""
    counts = torch.tensor([len(one["scores"]) for one in detections])
    rows = {name: torch.cat([one[name] for one in detections]).contiguous() for name in NAMES}
    save_file(rows | {"counts": counts}, path, {name: str(value) for name, value in asdict(speed).items()})


def load_detections(path: Path) -> tuple[list[dict[str, Tensor]], Speed]:
    """The way back. Raises `InputError` for a file that `save_detections` did not write."""
    try:
        with safe_open(path, "pt") as file:
            counts = file.get_tensor("counts").tolist()
            rows = {name: file.get_tensor(name).split(counts) for name in NAMES}
            said = file.metadata()
            speed = Speed(float(said["seconds_per_image"]), said["device"], int(said["threads"]))
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it and start again") from error
    return [{name: rows[name][index] for name in NAMES} for index in range(len(counts))], speed
