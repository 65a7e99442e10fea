"""What every command line shares: arguments from the function's own signature, and one line for the user's mistakes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import tyro

from fasterfpn.errors import InputError


def run(command: Callable[..., object], prog: str, args: Sequence[str] | None = None) -> None:
    """Parse `args` (default: the command line) into the arguments of `command`, call it, and leave with an exit status.

    0 when it returns; 2 with one line on standard error for an `InputError`, as for an argument that does not parse;
    130 after Ctrl-C. Any other exception is a fault of the program and keeps its traceback.
    """
    try:
        tyro.cli(command, prog=prog, args=args)
    except InputError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def checked_device(name: str) -> torch.device:
    """The device of that name. Raises `InputError` where torch does not know it or the machine lacks it."""
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise RuntimeError("a device without memory")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {name}: {str(error).splitlines()[0]}; python -m fasterfpn.doctor shows what there is"
        ) from error
    return device


def write_json(path: Path, content: object) -> None:
    """Write JSON; an existing file is replaced only by a whole one. Raises `InputError` where it cannot be written."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); give another path") from error
