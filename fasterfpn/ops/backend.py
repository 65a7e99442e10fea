"""Which implementation runs: the compiled kernels ("native") or the specification in plain PyTorch ("reference").

setup.py puts two files into the package: `_C.abi3.so`, the kernels, and `_C.json`, how they were built or why they
were not. The library is built against LibTorch's stable ABI, so one file serves every torch from 2.10 on; loading it
registers its operators under `torch.ops.fasterfpn`. By default the kernels run wherever the library has them for the
tensors' device, and the reference elsewhere. `backends()` says which; the first reference run on an accelerator, where
it is slow, warns. torch.compile takes the choice that is in force when it traces, and keeps it.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARY = PACKAGE / "_C.abi3.so"
RECORD = PACKAGE / "_C.json"
# What the Python code calls; a library that lacks one of them is older than the Python code.
OPERATORS = ("nms", "roi_max_pool", "roi_max_pool_backward")
KERNELS = ("nms", "roi_max_pool")  # those with versions; the backward kernel has the version of its forward kernel
BACKENDS = ("native", "reference")
DEVICES = ("cpu", "cuda")  # the types of device that kernels are written for
IN_CHECKOUT = (PACKAGE.parent / "setup.py").is_file()
REBUILD = f"cd {PACKAGE.parent} && pip install -e ." if IN_CHECKOUT else "reinstall fasterfpn from its sources"
INSTALL_COMPILER = "apt install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora)"

# ------------------------------------------------------------------------------------------- the compiled library


def build_record() -> dict[str, Any]:
    """What setup.py did: `built`; if true, `compiler`, `compiler_version`, `flags`, `torch`, `cuda`; if not, `why`.

    `cuda` is a record like it: `built`; if true, `nvcc` and `architectures`; if not, `why`.
    """
    if RECORD.is_file():
        return json.loads(RECORD.read_text())
    unfinished = LIBRARY.exists()  # setup.py removes the record first and writes it last
    return {"built": False, "why": "the last build did not finish" if unfinished else "nothing has been built"}


@cache
def problem() -> str | None:
    """Load the library, once. Return None if that worked, else one line that says why not and what to do."""
    record = build_record()
    if not record["built"]:
        why = record["why"]
        if "compiler" in why:
            return f"the compiled operators are missing: {why}. Run: {INSTALL_COMPILER}; then: {REBUILD}"
        return f"the compiled operators are missing: {why}. To build them: {REBUILD}"
    try:
        torch.ops.load_library(LIBRARY)
    except OSError as error:
        reason = str(error).partition("\n")[0]
        return f"the compiled operators do not load under torch {torch.__version__} ({reason}). Rebuild: {REBUILD}"
    missing = [name for name in OPERATORS if not _has_kernel(name, "cpu")]
    if missing or not torch._C._dispatch_has_kernel("fasterfpn::versions"):
        lacks = " or ".join(missing or ["versions"])
        return f"the compiled library is older than the Python code: no {lacks} in it. Rebuild: {REBUILD}"
    return None


@cache
def load() -> bool:
    """Whether the compiled operators are loaded. The first call loads them, or warns unless the build was off."""
    if problem() is not None and build_record().get("why") != "FASTERFPN_BUILD=off":
        warnings.warn(f"{problem()} (The slower reference operators are in use.)", RuntimeWarning, stacklevel=2)
    return problem() is None


def is_native(operator: str, device: str) -> bool:
    """Whether `operator`, e.g. "nms", has a compiled kernel for `device`, "cpu" or "cuda"."""
    return load() and _has_kernel(operator, device)


def versions(kernel: str, device: str) -> list[str]:
    """What is new in each version of `kernel`, "nms" or "roi_max_pool", from version 1 on; [] without the library.

    >>> versions("nms", "cuda")
    ['all pairs at once', 'chunks of boxes', 'chunks in rounds']
    """
    return torch.ops.fasterfpn.versions(kernel, device) if load() else []


def _has_kernel(operator: str, device: str) -> bool:
    name = f"fasterfpn::{operator}"
    known = torch._C._dispatch_has_kernel(name)  # the next line raises for a name without a schema
    return known and torch._C._dispatch_has_kernel_for_dispatch_key(name, device.upper())


def call(operator: str, *arguments: Any) -> Any:
    """Call `torch.ops.fasterfpn.<operator>`. Raise ValueError for an argument the kernel refuses, under any torch.

    The kernel throws std::invalid_argument, whose message begins with the argument's name. torch up to 2.13 makes it a
    ValueError, later torch a RuntimeError, which is converted here; not so in a direct call of the operator or in code
    that torch.compile has compiled, since these bypass this function. Any other error passes through.
    """
    try:
        return getattr(torch.ops.fasterfpn, operator)(*arguments)
    except RuntimeError as error:
        if refusal := _refusal(operator, str(error)):
            raise ValueError(refusal) from None
        raise


def _refusal(operator: str, message: str) -> str | None:
    """The first line of `message` if it refuses an argument, as "rois[3]: must be finite"; else None."""
    names = "|".join(argument.name for argument in getattr(torch.ops.fasterfpn, operator).default._schema.arguments)
    line = re.match(rf"(?:{names})(?:\[\d+\])?: .+", message)
    return line and line[0]


# ---------------------------------------------------------------------------------------- the choice of back end

NATIVE = frozenset(device for device in DEVICES if all(is_native(name, device) for name in OPERATORS))


class _Choice(threading.local):  # not a ContextVar: torch.compile cannot trace one
    requested: str | None = None
    versions: dict[str, int] | None = None


_choice = _Choice()


def backends() -> dict[str, str]:
    """The back end in use in this thread, by device type: "native", "reference", or "unavailable" where
    `use_backend("native")` is in force and there is no kernel.

    >>> backends()
    {'cpu': 'native', 'cuda': 'reference'}
    """
    requested = _choice.requested
    missing = "unavailable" if requested == "native" else "reference"
    return {device: "native" if requested != "reference" and device in NATIVE else missing for device in DEVICES}


@contextmanager
def use_backend(name: str, **versions: int) -> Iterator[None]:
    """Within the context, run "native" or "reference" only. It applies to this thread only and can be nested.

    `use_backend("native", nms=1, roi_max_pool=2)` asks for versions of the kernels, as benchmarks and tests do. The
    newest, the default, is the fastest; all give the same result. `backend.versions("nms", "cpu")` lists them.

    Raises ValueError for another name or kernel, RuntimeError if "native" is asked for and the library is not loaded.
    Within it, an operator raises RuntimeError on a device without a native kernel, and ValueError for a version that
    does not exist; nothing falls back silently.
    """
    if name not in BACKENDS:
        raise ValueError(f"name: expected one of {BACKENDS}, got {name!r}")
    for kernel in versions:
        if kernel not in KERNELS or name != "native":
            raise ValueError(f"{kernel}: expected a version of {' or '.join(KERNELS)}, with the native back end")
    if name == "native" and not load():
        raise RuntimeError(problem())
    before = _choice.requested, _choice.versions
    _choice.requested, _choice.versions = name, versions
    try:
        yield
    finally:
        _choice.requested, _choice.versions = before


def version(kernel: str) -> int:
    """The version of the native kernel that is to run; 0 means the newest."""
    return (_choice.versions or {}).get(kernel, 0)


def runs_native(device: torch.device) -> bool:
    """Whether operators run compiled on `device`. Raises RuntimeError if `use_backend("native")` cannot be met."""
    requested = _choice.requested
    if requested == "reference":
        return False
    native = device.type in NATIVE
    if not native and requested == "native":
        remedy = "python -m fasterfpn.doctor says what is missing; use_backend('reference') needs nothing compiled"
        raise RuntimeError(f"no compiled operators for {device.type} tensors: {remedy}")
    if not native and device.type != "cpu":
        _warn_slow(device.type)
    return native


@cache
def _warn_slow(device_type: str) -> None:
    message = f"fasterfpn.ops: no compiled operators for {device_type}; the plain PyTorch reference runs there (slowly)"
    warnings.warn(message, stacklevel=5)
