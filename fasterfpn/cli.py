"""What every command line shares: arguments from the function's own signature, and one line for the user's mistakes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import tyro

from fasterfpn.data.images import is_image
from fasterfpn.engine.placement import Placement
from fasterfpn.errors import InputError


def run(command: Callable[..., object], prog: str, args: Sequence[str] | None = None) -> None:
    """Parse `args` (default: the command line) into the arguments of `command`, call it, and leave with an exit status.

    0 when it returns; 2 with one line on standard error for an `InputError`, as for an argument that does not parse;
    130 after Ctrl-C. Any other exception is a fault of the program and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
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
        return Placement.on(name).device
    except InputError as error:
        raise InputError(f"--{error}; python -m fasterfpn.doctor shows what there is") from error


def find_images(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Images and those in folders, at any depth, sorted within a folder, each once; not the earlier results in `out`.

    Raises InputError for a path that does not exist, a folder without images, and where there is no path.
    """
    if not inputs:
        raise InputError("no image given; name images or folders after the run")
    found: dict[Path, Path] = {}  # resolved -> as given
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path}: no such image or folder; check the path")
        images = [path]
        if path.is_dir():
            images = [image for image in sorted(path.rglob("*")) if is_image(image) and out not in image.parents]
        if not images:
            raise InputError(f"{path}: no image in this folder; it needs JPEG, PNG, BMP or TIFF files")
        for image in images:
            found.setdefault(image.resolve(), image)
    return list(found.values())


def picture_paths(images: Sequence[Path], out: Path) -> list[Path]:
    """`out`/<stem>.jpg for each image; a stem met before gets _2, _3, ...

    Raises InputError where that would overwrite one of the images.
    """
    paths: dict[Path, None] = {}
    for image in images:
        path, count = out / f"{image.stem}.jpg", 1
        while path in paths:
            count += 1
            path = out / f"{image.stem}_{count}.jpg"
        paths[path] = None
    inputs = {image.resolve() for image in images}
    for path in paths:
        if path.resolve() in inputs:
            raise InputError(f"--out {out}: its picture {path.name} would overwrite the image; give another folder")
    return list(paths)
