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
    """What setup.py did: `built`, then `compiler`, `compiler_version`, `flags`, `torch`, `cuda`; or else `why` not.

    `cuda` again has `built`, and `nvcc`, `architectures` or `why`.
    """
    if RECORD.is_file():
        return json.loads(RECORD.read_text())
    unfinished = LIBRARY.exists()  # setup.py removes the record first and writes it last
    return {"built": False, "why": "the last build did not finish" if unfinished else "nothing has been built"}


@cache
def problem() -> str | None:
    """Loads the library, once. None when it is in use; else one line that says why it is not, and what to do."""
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
    """Whether the compiled operators are there. The first call loads them, or warns unless they were not wanted."""
    if problem() is not None and build_record().get("why") != "FASTERFPN_BUILD=off":
        warnings.warn(f"{problem()} (The slower reference operators are in use.)", RuntimeWarning, stacklevel=2)
    return problem() is None


def is_native(operator: str, device: str) -> bool:
    """Whether `operator`, e.g. "nms", has a compiled kernel for `device`, "cpu" or "cuda"."""
    return load() and _has_kernel(operator, device)


def versions(kernel: str, device: str) -> list[str]:
    """What each version of `kernel`, "nms" or "roi_max_pool", adds to the one before, the first being version 1.

    >>> versions("nms", "cuda")
    ['all pairs at once', 'chunks of boxes', 'chunks in rounds']
    """
    return torch.ops.fasterfpn.versions(kernel, device) if load() else []


def _has_kernel(operator: str, device: str) -> bool:
    name = f"fasterfpn::{operator}"
    known = torch._C._dispatch_has_kernel(name)  # the next line raises for a name without a schema
    return known and torch._C._dispatch_has_kernel_for_dispatch_key(name, device.upper())


def call(operator: str, *arguments: Any) -> Any:
    """Calls `torch.ops.fasterfpn.<operator>`. An argument that the kernel refuses is a ValueError under every torch.

    The kernel throws std::invalid_argument, whose message begins with the argument's name. In Python this is a
    ValueError up to torch 2.13 and a RuntimeError later; so it is in a direct call of the operator, and in a function
    that torch.compile has compiled, which no longer runs this one. Any other error passes through.
    """
    try:
        return getattr(torch.ops.fasterfpn, operator)(*arguments)
    except RuntimeError as error:
        if refusal := _refusal(operator, str(error)):
            raise ValueError(refusal) from None
        raise


def _refusal(operator: str, message: str) -> str | None:
    """The line of `message` that refuses an argument of `operator`, or None: "rois[3]: must be finite"."""
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
    """The back end in use here and now, by device type: "native", "reference", or "unavailable" where
    `use_backend("native")` is in force and there is no kernel.

    >>> backends()
    {'cpu': 'native', 'cuda': 'reference'}
    """
    requested = _choice.requested
    missing = "unavailable" if requested == "native" else "reference"
    return {device: "native" if requested != "reference" and device in NATIVE else missing for device in DEVICES}


@contextmanager
def use_backend(name: str, **versions: int) -> Iterator[None]:
    """Within the context, run "native" or "reference" only. It applies to this thread alone, and it nests.

    `use_backend("native", nms=1, roi_max_pool=2)` asks for versions of the kernels, as benchmarks and tests do. The
    newest, the default, is the fastest; all give the same result. `backend.versions("nms", "cpu")` lists them.

    Raises ValueError for another name, RuntimeError where "native" is asked for and the library is not built. A native
    operator on a device that it has no kernel for raises RuntimeError when called, and ValueError for a version that
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
    """The version of the native kernel that is to run; 0 is the newest."""
    return (_choice.versions or {}).get(kernel, 0)


def runs_native(device: torch.device) -> bool:
    """Whether the operators are to run compiled on tensors of `device`."""
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
