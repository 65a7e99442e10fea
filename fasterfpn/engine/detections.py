"""Saves the detections on N images in one safetensors file, and reads them back.

The file has the D detections of all images in a row: boxes (D, 4), labels (D,), scores (D,); and counts (N,) per image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from fasterfpn.engine.tensor_file import read_tensors, write_tensors
from fasterfpn.errors import InputError

NAMES = ("boxes", "labels", "scores")


@dataclass(frozen=True)
class Speed:
    """Seconds that detection takes per image, and the device and the number of threads it was measured with."""

    seconds_per_image: float
    device: str
    threads: int


def save_detections(path: Path, detections: Sequence[Mapping[str, Tensor]], speed: Speed) -> None:
    """Write `detections`, one mapping with `NAMES` for each of N >= 1 images, and their speed. Raises `OutputError`."""
    counts = torch.tensor([len(result["scores"]) for result in detections])
    rows = {name: torch.cat([result[name] for result in detections]) for name in NAMES}
    write_tensors(path, rows | {"counts": counts}, asdict(speed))


def load_detections(path: Path) -> tuple[list[dict[str, Tensor]], Speed]:
    """The detections, one dict per image, and their speed. Raises `InputError` for a file of another kind."""
    try:
        tensors, header = read_tensors(path)
        counts = tensors["counts"].tolist()
        rows = {name: tensors[name].split(counts) for name in NAMES}
        speed = Speed(float(header["seconds_per_image"]), header["device"], int(header["threads"]))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:  # `InputError` is a `ValueError`
        raise InputError(f"{path}: cannot be read ({error}); remove it and run the command again") from error
    return [{name: rows[name][index] for name in NAMES} for index in range(len(counts))], speed
