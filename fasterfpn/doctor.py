"""What this installation has, what it lacks, and one remedy for each thing missing: `python -m fasterfpn.doctor`."""

from __future__ import annotations

import json as json_format
import os
import platform
import shutil
import subprocess
from importlib import metadata

import torch

from fasterfpn.cli import run
from fasterfpn.ops import backend


def main(json: bool = False) -> None:
    """Say what is installed, which operators are compiled for which device, and what to do about what is missing.

    Args:
        json: print it as JSON, for scripts.
    """
    report = examine()
    print(json_format.dumps(report, indent=2) if json else as_text(report))


def examine() -> dict:
    """The report, in the plain types of JSON.

    `operators` gives "native" or "reference" by operator and device; `remedies` has one line for each thing missing.
    """
    report = {
        "fasterfpn": _installed_version(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "gpus": _gpus(),
        "compiler": _tool(os.environ.get("CXX", ""), "c++", "g++", "clang++"),
        "nvcc": _tool(f"{os.environ.get('CUDA_HOME', '')}/bin/nvcc", "nvcc", "/usr/local/cuda/bin/nvcc"),
        "library": {"path": str(backend.LIBRARY), "loaded": backend.load(), **backend.build_record()},
        "operators": {
            name: {device: "native" if backend.is_native(name, device) else "reference" for device in backend.DEVICES}
            for name in backend.OPERATORS
        },
    }
    return report | {"remedies": remedies(report)}


def remedies(report: dict) -> list[str]:
    """One line for each thing that `report` shows missing: what, and what to do."""
    lines = []
    if problem := backend.problem():
        lines.append(problem)
    elif changed := changed_sources():
        lines.append(f"{', '.join(changed)} changed after the library was built: {backend.REBUILD}")
    if not report["compiler"] and "compiler" not in (problem or ""):
        lines.append(f"no C++ compiler, which building the operators needs: {backend.INSTALL_COMPILER}")
    if not report["nvcc"]:
        lines.append(
            "no nvcc, which building the CUDA operators needs (of no use without an NVIDIA GPU): install NVIDIA's CUDA"
            f" toolkit, 12.0 or newer, or set CUDA_HOME to it; then: {backend.REBUILD}"
        )
    cuda = report["library"].get("cuda", {})
    if cuda.get("why") in ("nvcc was not found", "FASTERFPN_CUDA=0") and report["nvcc"]:
        lines.append(f"the library was built without CUDA operators ({cuda['why']}): {backend.REBUILD}")
    for gpu in report["gpus"]:
        if cuda.get("built") and not covers(cuda["architectures"], gpu["capability"]):
            lines.append(
                f"the CUDA operators were not built for {gpu['name']}:"
                f" export TORCH_CUDA_ARCH_LIST={gpu['capability']}; {backend.REBUILD}"
            )
    if shutil.which("nvidia-smi") and not report["gpus"]:
        why = "torch sees no GPU (does nvidia-smi?)" if report["torch_cuda"] else "this torch is a build for the CPU"
        lines.append(
            f"{why}: install a CUDA build of torch that suits the driver, see https://pytorch.org/get-started/locally"
        )
    return lines


def changed_sources() -> list[str]:
    """The files under csrc/ that are newer than the library, as in a checkout that was edited or pulled."""
    if not (backend.IN_CHECKOUT and backend.LIBRARY.exists()):
        return []
    built = backend.LIBRARY.stat().st_mtime
    files = sorted(backend.PACKAGE.parent.glob("csrc/**/*.*"))
    return [str(file.relative_to(backend.PACKAGE.parent)) for file in files if file.stat().st_mtime > built]


def covers(architectures: list[str], capability: str) -> bool:
    """Whether code built for e.g. ["8.0", "12.0+PTX"] runs on a GPU of `capability`, e.g. "8.6".

    Machine code runs on devices of the same major version and the same or a later minor one, PTX on all later devices.
    """
    major, minor = map(int, capability.split("."))
    for architecture in architectures:
        number, _, ptx = architecture.rstrip("af").partition("+")
        built_major, built_minor = map(int, number.rstrip("af").split("."))
        if (ptx or built_major == major) and (built_major, built_minor) <= (major, minor):
            return True
    return False


def as_text(report: dict) -> str:
    """The report for people."""
    built = report["library"]
    cuda = built.get("cuda", {})
    how = (
        f"{built['compiler_version']}, headers of torch {built['torch']}"
        if built["built"]
        else f"not built: {built['why']}"
    )
    gpus = ", ".join(f"{gpu['name']} ({gpu['capability']})" for gpu in report["gpus"])
    rows = {
        "fasterfpn": report["fasterfpn"],
        "Python": report["python"],
        "torch": f"{report['torch']}, {'CUDA ' + report['torch_cuda'] if report['torch_cuda'] else 'without CUDA'}",
        "GPU": gpus or "none",
        "compiler": report["compiler"] or "none",
        "nvcc": report["nvcc"] or "none",
        "library": f"{built['path']}, {'in use' if built['loaded'] else 'not in use'}",
        "built by": how,
        "CUDA part": f"for {' '.join(cuda['architectures'])}" if cuda.get("built") else cuda.get("why", "none"),
    }
    lines = [f"{name:<12}{value}" for name, value in rows.items()]
    lines += ["", f"{'operator':<24}" + "".join(f"{device:<12}" for device in backend.DEVICES)]
    for name, by_device in report["operators"].items():
        lines.append(f"{name:<24}" + "".join(f"{by_device[device]:<12}" for device in backend.DEVICES))
    lines += ["", "missing:" if report["remedies"] else "nothing is missing"]
    return "\n".join(line.rstrip() for line in lines + [f"- {line}" for line in report["remedies"]])


def _installed_version() -> str:
    try:
        return metadata.version("fasterfpn")
    except metadata.PackageNotFoundError:  # a checkout on PYTHONPATH
        return "not installed"


def _tool(*candidates: str) -> str | None:
    """The first of `candidates` that can be run, and its version."""
    path = next(filter(None, map(shutil.which, candidates)), None)
    if path is None:
        return None
    answer = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.splitlines() or ["no version"]
    return f"{path}: {next((line for line in answer if 'release' in line), answer[0])}"  # nvcc's is not its first line


def _gpus() -> list[dict]:
    if not torch.cuda.is_available():
        return []
    devices = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [{"name": device.name, "capability": f"{device.major}.{device.minor}"} for device in devices]


if __name__ == "__main__":
    run(main, "python -m fasterfpn.doctor")
