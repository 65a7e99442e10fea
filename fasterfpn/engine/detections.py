"""The detections on a dataset in one safetensors file: the boxes of all images concatenated, and a count per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from fasterfpn.engine.tensor_file import read_tensors, write_tensors
from fasterfpn.errors import InputError
from fasterfpn.types import Detections

NAMES = ("boxes", "labels", "scores")


@dataclass(frozen=True)
class Speed:
    """The detection time for one image, and the device and CPU threads it was measured with."""

    seconds_per_image: float
    device: str
    threads: int


def save_detections(path: Path, detections: Sequence[Detections], speed: Speed) -> None:
    """Write the detections on N >= 1 images and their speed. Raises `OutputError`."""
    counts = torch.tensor([len(result["scores"]) for result in detections])
    rows = {name: torch.cat([result[name] for result in detections]) for name in NAMES}
    write_tensors(path, rows | {"counts": counts}, asdict(speed))


def load_detections(path: Path) -> tuple[list[Detections], Speed]:
    """Read a file that `save_detections` wrote. Raises `InputError` for any other file."""
    try:
        tensors, header = read_tensors(path)
        counts = tensors["counts"].tolist()
        rows = {name: tensors[name].split(counts) for name in NAMES}
        speed = Speed(float(header["seconds_per_image"]), header["device"], int(header["threads"]))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:  # `InputError` is a `ValueError`
        raise InputError(f"{path}: cannot be read ({error}); remove it and run the command again") from error
    return [{name: rows[name][index] for name in NAMES} for index in range(len(counts))], speed
