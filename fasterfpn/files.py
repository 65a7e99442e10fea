"""Files and folders that appear whole or not at all, and folders that one process writes to at a time.

A file is written under a temporary name, synced to the disk and renamed. The temporary name lies beside the final one
and holds the writer's process number, so that what a killed process left behind can be told from what a running one
is writing.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from fasterfpn.errors import InputError

LOCK = ".lock"
_PARTIAL = re.compile(r"\..+\.(\d+)\.partial")  # as `_temporary` makes them


class OutputError(InputError):
    """The file system refused a write: no space, no permission, a folder in the file's place, a folder removed."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends well, and is removed when it does not.

    An existing file is replaced in one step, by a complete one that has reached the disk. Raises `OutputError` naming
    `path` for what the file system refuses.
    """
    temporary = _temporary(path)
    try:
        with writing(path):
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
    finally:
        _remove(temporary)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `folder` when the block ends well, and is removed when it does not.

    Raises `InputError` where `folder` holds something already, and `OutputError` for what the file system refuses.
    """
    temporary = _temporary(folder)
    try:
        with writing(folder):
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


def append_line(path: Path, line: str) -> None:
    """Append a line to a file that exists, whole: where it does not fit, what was written of it is taken back.

    Raises `OutputError` naming `path`; for a file that was removed as well.
    """
    content = (line + "\n").encode()
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            try:
                if os.write(descriptor, content) < len(content):
                    raise OSError("no space left for a whole line")
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold an existing folder for this process, and remove what killed writers left in it.

    The lock is the kernel's, on the file `.lock`, so it goes when the process ends, however it ends. Within one process
    it does not nest. Raises `InputError` with the number of the process that holds `folder`, and `OutputError` where
    the lock cannot be made.
    """
    path = folder / LOCK
    with writing(folder):
        file = _lock_file(path)
    try:
        with writing(folder):
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            remove_unfinished(folder)
        yield
    finally:
        _remove(path)  # before the lock goes: whoever has this file open already sees that it is no longer the lock
        file.close()


def _lock_file(path: Path) -> TextIO:
    """`path`, open and locked."""
    while True:
        file = path.open("a+", encoding="ascii")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()  # removed by its holder between our opening and our locking it: take the next one
        except (BlockingIOError, PermissionError):
            file.seek(0)
            number = file.read().strip()
            file.close()
            holder = f"process {number}" if number else "another process"
            raise InputError(
                f"{path.parent}: {holder} is working in this folder; wait until it has ended, or stop it"
            ) from None


def lock_holder(folder: Path) -> int | None:
    """The number of the other process that holds `folder`, as far as a look at the lock's file tells."""
    try:
        process = int((folder / LOCK).read_text())
    except (OSError, ValueError):
        return None
    return process if process != os.getpid() and is_running(process) else None


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` whose writer no longer runs; this process is at none."""
    for path in folder.iterdir():
        match = _PARTIAL.fullmatch(path.name)
        if match and (int(match[1]) == os.getpid() or not is_running(int(match[1]))):
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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the file system refuses in the block, an `OSError`, as an `OutputError` that names `path`, in one line."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:40]}.{os.getpid()}.partial")  # shortened: a long name is to remain possible


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a file system that has become read-only, a folder that is gone
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
