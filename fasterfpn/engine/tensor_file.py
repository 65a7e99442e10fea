"""Named tensors and a header of JSON in one safetensors file. Nothing in it is executed when it is read.

The header is one entry of the file's metadata, since safetensors writes several in random order, and equal runs are to
give equal bytes. Before format_version 2 each item of the header was an entry of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fasterfpn.errors import InputError
from fasterfpn.files import write_bytes

HEADER = "fasterfpn"
Header = dict[str, Any]
_JSON_ENTRIES = ("config", "classes", "step", "progress")  # of a file without `HEADER`; the others are plain text


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    """Write the file, whole. Raises `OutputError` for what the file system refuses."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(content, {HEADER: json.dumps(header)}))


def read_header(path: Path) -> Header:
    """The header alone. Raises `InputError` for a file that is not whole, or no safetensors file."""
    return _read(path, with_tensors=False)[1]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Header]:
    """The tensors, on the CPU, and the header. Raises as `read_header`."""
    return _read(path, with_tensors=True)


def _read(path: Path, with_tensors: bool) -> tuple[dict[str, Tensor], Header]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in (file.keys() if with_tensors else ())}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); is it whole?") from error
    try:
        if HEADER in metadata:
            header = json.loads(metadata[HEADER])
        else:
            header = {name: json.loads(text) if name in _JSON_ENTRIES else text for name, text in metadata.items()}
        if not isinstance(header, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise InputError(f"{path}: its header is damaged ({error})") from error
    return tensors, header
