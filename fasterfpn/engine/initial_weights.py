"""Weights to start from: an earlier run's, or others' state dicts, from a file, a URL or ImageNet.

A state dict maps names to tensors. models/weights.py knows the layouts that it may have; here it is fetched and read.
Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor

from fasterfpn.engine.checkpoint import DETECTOR, read_checkpoint
from fasterfpn.engine.tensor_file import read_header
from fasterfpn.errors import InputError
from fasterfpn.models import Detector
from fasterfpn.models.state_dicts import flat
from fasterfpn.models.weights import Report, load_torchvision

PREDICTOR = ("box_head.logits.", "box_head.deltas.")
WRITE_ONE = "write one with torch.save(model.state_dict(), FILE)"

# torchvision's ImageNet classifiers (its IMAGENET1K_V1), by depth; eight digits of the file's SHA-256 end its name.
IMAGENET = {
    18: "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    34: "https://download.pytorch.org/models/resnet34-b627a593.pth",
    50: "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    101: "https://download.pytorch.org/models/resnet101-63fe2227.pth",
    152: "https://download.pytorch.org/models/resnet152-394f9c45.pth",
}


def load_initial_weights(detector: Detector, source: str) -> Report:
    """Load what fits from `source`: a run folder or checkpoint, FILE, URL or "imagenet"; report what was taken.

    An earlier run's predictor is taken only if its classes are the same, in the same order: their number is not enough.
    Raises `InputError` where the source cannot be read or nothing of it fits.
    """
    path = Path(source)
    if not path.is_dir() and not is_checkpoint(path):
        return load_torchvision(detector, read_weights(source, detector.config.backbone.depth))
    checkpoint = read_checkpoint(path)
    if checkpoint.classes == detector.classes:
        return load_torchvision(detector, checkpoint.weights)
    shared = {name: value for name, value in checkpoint.weights.items() if not name.startswith(PREDICTOR)}
    report = load_torchvision(detector, shared)
    other = dict.fromkeys(checkpoint.weights.keys() - shared.keys(), "a predictor for other classes, which starts anew")
    return replace(report, skipped=report.skipped | other)


def is_checkpoint(path: Path) -> bool:
    """Return whether the file is a checkpoint of this program."""
    try:
        return read_header(path).get("format") == DETECTOR
    except InputError:
        return False


def read_weights(source: str, depth: int, cache: Path | None = None) -> dict[str, object]:
    """Read the entries of a file of `torch.save` or safetensors, of its URL, or of "imagenet", on the CPU.

    "imagenet" is torchvision's classifier of that `depth`. Downloads are kept in `cache` (default: PyTorch's own,
    `torch.hub.get_dir()`/checkpoints). Only tensors and plain containers are unpickled; an entry of a nested dictionary
    gets a dotted name. Raises `InputError` for a depth not in `IMAGENET`, a failed or wrong download, and a file that
    is missing or not a state dict.
    """
    if source == "imagenet":
        if depth not in IMAGENET:
            depths = ", ".join(map(str, IMAGENET))
            raise InputError(f"weights imagenet: none for depth {depth}, only for {depths}; norm group needs none")
        source = IMAGENET[depth]
    if source.startswith(("http://", "https://")):
        path = download(source, cache or Path(torch.hub.get_dir(), "checkpoints"))
        try:
            return _read_file(path)
        except InputError:
            path.unlink(missing_ok=True)  # do not offer the same bad file again
            raise
    return _read_file(Path(source))


def download(url: str, folder: Path) -> Path:
    """Return the file of that URL in `folder`, fetched whole unless it is there already.

    Where its name ends in eight or more hexadecimal digits, as in resnet18-f37072fd.pth, its SHA-256 must begin with
    them. Raises `InputError` where it does not, and where the download fails.
    """
    name = Path(urlparse(url).path).name
    digits = re.search(r"-([0-9a-f]{8,64})\.[^.]*$", name)
    if digits is None:  # nothing tells this model.pth from another site's
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}"
    path = folder / name
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        print(f"downloading {url} to {path}", file=sys.stderr)
        torch.hub.download_url_to_file(url, str(path), digits and digits[1], progress=sys.stderr.isatty())
    except RuntimeError:
        raise InputError(
            f"{url}: what came has not the SHA-256 of its name and was not kept; try again, or give the file itself"
        ) from None
    except (OSError, HTTPException, ValueError) as error:  # no network, no such file there, a full disk, no such URL
        raise InputError(f"{url}: {error}; download it elsewhere and give the file") from None
    return path


def _read_file(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise InputError(f"weights {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # the unpickler's exceptions are many, and its messages advise to trust the file
        raise InputError(f"weights {path}: not a whole file of tensors; {WRITE_ONE}") from None
    entries = flat(content) if isinstance(content, dict) else {}
    if not any(isinstance(value, Tensor) for value in entries.values()):
        raise InputError(f"weights {path}: holds no state dict; {WRITE_ONE}")
    return entries
