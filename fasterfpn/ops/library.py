"""The compiled library: finding it, loading it, and saying in one line why it is not in use and what to do.

setup.py puts two files into the package: `_C.abi3.so`, the kernels, and `_C.json`, how they were built or why they
were not. The library belongs to no Python and no torch in particular (LibTorch's stable ABI, torch >= 2.10); loading
it registers its operators under `torch.ops.fasterfpn`. Without it the reference operators do all the work.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import torch

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARY = PACKAGE / "_C.abi3.so"
RECORD = PACKAGE / "_C.json"
# What the Python beside this file calls; a library that lacks one of them is older than the Python.
OPERATORS = ("nms", "roi_max_pool", "roi_max_pool_backward")
# How many versions of each kernel csrc/ holds, each one idea further than the last; the newest is the default.
VERSIONS = {"nms": {"cpu": 5, "cuda": 3}, "roi_max_pool": {"cpu": 5, "cuda": 3}}
IN_CHECKOUT = (PACKAGE.parent / "setup.py").is_file()
REBUILD = f"cd {PACKAGE.parent} && pip install -e ." if IN_CHECKOUT else "reinstall fasterfpn from its sources"
INSTALL_COMPILER = "apt install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora)"


def build_record() -> dict:
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
    if missing:
        return (
            f"the compiled library is older than the Python code: no {' or '.join(missing)} in it. Rebuild: {REBUILD}"
        )
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


def changed_sources() -> list[str]:
    """The files under csrc/ that are newer than the library, as in a checkout that was edited or pulled."""
    if not (IN_CHECKOUT and LIBRARY.exists()):
        return []
    built = LIBRARY.stat().st_mtime
    files = sorted(PACKAGE.parent.glob("csrc/**/*.*"))
    return [str(file.relative_to(PACKAGE.parent)) for file in files if file.stat().st_mtime > built]


def _has_kernel(operator: str, device: str) -> bool:
    name = f"fasterfpn::{operator}"
    known = torch._C._dispatch_has_kernel(name)  # the next line raises for a name without a schema
    return known and torch._C._dispatch_has_kernel_for_dispatch_key(name, device.upper())
