"""Files and folders that appear whole or not at all: written under a temporary name, synced to the disk, renamed.

The temporary name lies beside the final one and holds the writer's process number, so that what a killed process left
behind can be told from what a running one is writing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fasterfpn.errors import InputError

_PARTIAL = re.compile(r"\..+\.(\d+)\.partial")  # as `_temporary` makes them


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends well, and is removed when it does not.

    An existing file is replaced in one step, by a complete one that has reached the disk. Raises `InputError` naming
    `path` for what the file system refuses: no space, no permission, a folder in its place, a name that is too long.
    """
    temporary = _temporary(path)
    try:
        with _refusals(path):
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
    finally:
        _remove(temporary)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `folder` when the block ends well, and is removed when it does not.

    Raises `InputError` where `folder` holds something already, and for what the file system refuses.
    """
    temporary = _temporary(folder)
    try:
        with _refusals(folder):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InputError(f"{folder}: exists and is not an empty folder; give a new one")
            temporary.mkdir(parents=True)
            yield temporary
            temporary.replace(folder)
    finally:
        _remove(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole. Raises as `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, whole; what cannot be encoded (a file's name that is no UTF-8) becomes "?"."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_json(path: Path, content: object) -> None:
    """Write JSON, whole. Raises as `whole_file`, and `ValueError` for NaN, which JSON does not know."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` whose writer no longer runs."""
    for path in folder.iterdir():
        if (match := _PARTIAL.fullmatch(path.name)) and not is_running(int(match[1])):
            _remove(path)


def is_running(process: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """An `OSError` as an `InputError` in one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
