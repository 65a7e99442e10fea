"""Atomic writes of files and folders, and locks on folders.

A file is written under a temporary name in the same folder, synced to disk and renamed. The temporary name holds the
writer's process ID, which tells the leftovers of a killed process from files that are being written.
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
    """A write failed: no space, no permission, a folder of that name, or a parent folder that was removed."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` at the end of the block, or remove it on an exception.

    An existing file is replaced atomically, after the new one was synced. Raises `OutputError` if a write fails.
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
    """Yield a temporary folder to fill; rename it to `folder` at the end of the block, or remove it on an exception.

    Raises `InputError` if `folder` exists and is not an empty folder, and `OutputError` if a write fails.
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
    """Write a file atomically. Raises as `whole_file` does."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 atomically; characters that cannot be encoded, as in a file name that is not UTF-8, become "?"."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically. Raises as `whole_file` does, and `ValueError` for NaN, which JSON cannot express."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append a line to an existing file; if it does not fit on the disk, truncate the file to its earlier size.

    Raises `OutputError` if the write fails or the file does not exist.
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

    The lock is a POSIX lock on the file `.lock`: the kernel releases it when the process ends, and it does not exclude
    other users within this process. Raises `InputError` naming the process that holds `folder`, and `OutputError` if
    the lock file cannot be written.
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
        _remove(path)  # before unlocking: a process that has the file open must see that it is no longer the lock
        file.close()


def _lock_file(path: Path) -> TextIO:
    """Open and lock `path`."""
    while True:
        file = path.open("a+", encoding="ascii")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()  # the holder removed it after we opened it: try again with a new file
        except (BlockingIOError, PermissionError):
            file.seek(0)
            process = file.read().strip()
            file.close()
            holder = f"process {process}" if process else "another process"
            raise InputError(
                f"{path.parent}: {holder} is working in this folder; wait until it has ended, or stop it"
            ) from None


def lock_holder(folder: Path) -> int | None:
    """Return the ID of another running process that `folder`'s lock file names, without trying the lock itself."""
    try:
        process = int((folder / LOCK).read_text())
    except (OSError, ValueError):
        return None
    return process if process != os.getpid() and is_running(process) else None


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files and folders of ended processes and of this one, which must not be writing."""
    for path in folder.iterdir():
        match = _PARTIAL.fullmatch(path.name)
        if match and (int(match[1]) == os.getpid() or not is_running(int(match[1]))):
            _remove(path)


def is_running(process: int) -> bool:
    """Return whether a process with this ID runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an `OSError` in the block to an `OutputError` of one line that names `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:40]}.{os.getpid()}.partial")  # truncated to stay below the limit on names


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
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
