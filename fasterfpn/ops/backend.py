"""Which implementation runs: the compiled operators ("native") or the specification in plain PyTorch ("reference").

By default native wherever the compiled library has kernels for the tensors' device, else reference. `backends()` says
which; the first reference run on an accelerator, where it is slow, warns. torch.compile takes the choice that is in
force when it traces, and keeps it.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from fasterfpn.ops import library

BACKENDS = ("native", "reference")
DEVICES = ("cpu", "cuda")  # the types of device that kernels are written for
NATIVE = frozenset(d for d in DEVICES if all(library.is_native(name, d) for name in library.OPERATORS))


class _Choice(threading.local):  # not a ContextVar: torch.compile cannot trace one
    requested: str | None = None
    versions: dict[str, int] | None = None


_choice = _Choice()


def backends() -> dict[str, str]:
    """The back end that the operators use here and now, by device type: "native", "reference", or "unavailable" where
    `use_backend("native")` is in force and there is no kernel.

    >>> backends()
    {'cpu': 'native', 'cuda': 'reference'}
    """
    requested = _choice.requested
    missing = "unavailable" if requested == "native" else "reference"
    return {device: "native" if requested != "reference" and device in NATIVE else missing for device in DEVICES}


@contextmanager
def use_backend(name: str, **versions: int) -> Iterator[None]:
    """Within the context, run "native" or "reference" only; for this thread alone, and it nests.

    `use_backend("native", nms=1, roi_max_pool=2)` asks for versions of the kernels: benchmarks and tests do. The
    newest, the default, is the fastest; all give the same result. `library.VERSIONS` says how many there are.

    Raises ValueError for another name, RuntimeError where "native" is asked for and the library is not built. A native
    operator on a device that it has no kernel for raises RuntimeError when called, and ValueError for a version that
    does not exist; nothing falls back silently.
    """
    if name not in BACKENDS:
        raise ValueError(f"name: expected one of {BACKENDS}, got {name!r}")
    for operator in versions:
        if operator not in library.VERSIONS or name != "native":
            raise ValueError(f"versions: {operator} has none; there are native ones of {', '.join(library.VERSIONS)}")
    if name == "native" and not library.load():
        raise RuntimeError(library.problem())
    before = _choice.requested, _choice.versions
    _choice.requested, _choice.versions = name, versions
    try:
        yield
    finally:
        _choice.requested, _choice.versions = before


def version(operator: str) -> int:
    """The version of the native kernel that is to run; 0 is the newest."""
    return (_choice.versions or {}).get(operator, 0)


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
