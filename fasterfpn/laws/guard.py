"""Keeps a learner's file from calling what it is asked to write, here or in a library of detectors."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from operator import attrgetter
from typing import Any

from fasterfpn.laws.law import Stop

LIBRARIES = ("torchvision", "pycocotools", "detectron2", "mmcv", "mmdet", "ultralytics", "cv2")


class Taken(Stop):
    """The learner's file leaves the exercise to others."""


class _NoLibraries(MetaPathFinder):
    def __init__(self, file: str) -> None:
        self.file = file

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        name = fullname.partition(".")[0]
        if name in LIBRARIES and _called_by(sys._getframe(), self.file):
            raise Taken(f"it imports {name}; write it with torch, numpy or plain Python instead")


def guard(file: str, taken: Sequence[str]) -> None:
    """From now on `file`, a path, is stopped with `Taken` where it calls one of `taken` or imports a library."""
    for name in taken:
        owner, function = found(name)
        _replace(owner, name, function, file)
    sys.meta_path.insert(0, _NoLibraries(file))


def found(name: str) -> tuple[Any, Callable]:
    """The function of a dotted name, and what it is an attribute of."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            module = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        owner = attrgetter(".".join(parts[length:-1]))(module) if parts[length:-1] else module
        return owner, getattr(owner, parts[-1])
    raise ModuleNotFoundError(f"no module of {name}")


def _replace(owner: Any, name: str, function: Callable, file: str) -> None:
    @functools.wraps(function, updated=())
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _called_by(sys._getframe(1), file):
            raise Taken(f"it calls {name}, which is what this exercise asks you to write")
        return function(*args, **kwargs)

    guarded.taken = name
    setattr(owner, name.rpartition(".")[2], guarded)
    for module in list(sys.modules.values()):
        for key, value in list(vars(module).items()) if module is not None else ():
            if value is function:
                setattr(module, key, guarded)


def refuse(solution: Callable) -> Callable:
    """The learner's function; raises `Taken` where it is one of the guarded itself."""
    if hasattr(solution, "taken"):
        raise Taken(f"it hands on {solution.taken}, which is what this exercise asks you to write")
    return solution


def _called_by(frame: Any, file: str) -> bool:
    """Whether the file is among the callers."""
    while frame is not None:
        if frame.f_code.co_filename == file:
            return True
        frame = frame.f_back
    return False
