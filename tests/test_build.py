"""setup.py, on a small project of its own, and the library that it made for the package."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import setuptools

from fasterfpn.ops import backend

ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(not COMPILER or sys.platform != "linux", reason="no C++ compiler")
needs_library = pytest.mark.skipif(not backend.build_record()["built"], reason="installed without the library")
OPTIONS = ("FASTERFPN_BUILD", "FASTERFPN_CUDA", "TORCH_CUDA_ARCH_LIST", "CXX", "CUDA_HOME", "NVCC_CCBIN", "MAX_JOBS")
SOURCES = {
    "csrc/common.h": "#pragma once\n#define ANSWER 42\n",
    "csrc/operators.cpp": '#include "common.h"\nextern "C" int answer() { return ANSWER; }\n',
    "csrc/cpu/other.cpp": 'extern "C" int other() { return 1; }\n',
}
KERNEL = """\
__global__ void fill(float* out) { out[threadIdx.x] = 1.0f; }
extern "C" int launch(float* out) { fill<<<1, 32>>>(out); return cudaGetLastError(); }
"""


@pytest.fixture
def project(tmp_path):
    """A folder, with a space in its name, that setup.py can build: three small sources and an empty package."""
    root = tmp_path / "a project"
    for name, text in SOURCES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "fasterfpn").mkdir()
    (root / "fasterfpn/__init__.py").touch()
    (root / "README.md").touch()
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, root)
    return root


def build(project, **options):
    """Runs the command that the README gives for rebuilding; by default without CUDA."""
    environment = {name: value for name, value in os.environ.items() if name not in OPTIONS}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    environment |= {"FASTERFPN_CUDA": "0", **options}
    return subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)


def record(project):
    return json.loads((project / "fasterfpn/_C.json").read_text())


def compiled(done):
    """The files that ninja compiled or linked, in the order of their names."""
    assert done.returncode == 0, done.stderr
    return sorted(Path(line.split("'")[1]).name for line in done.stdout.splitlines() if re.match(r"\[\d+/\d+\]", line))


@pytest.fixture
def script(monkeypatch):
    """setup.py as a module, without its last statement's effect and without what the environment says."""
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    for name in OPTIONS:
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_compiler
def test_rebuilds_what_changed_and_nothing_else(project):
    assert compiled(build(project)) == ["_C.abi3.so", "operators.cpp", "other.cpp"]
    assert compiled(build(project)) == []
    (project / "csrc/cpu/other.cpp").write_text('extern "C" int other() { return 2; }\n')
    assert compiled(build(project)) == ["_C.abi3.so", "other.cpp"]
    (project / "csrc/common.h").write_text("#pragma once\n#define ANSWER 43\n")
    assert compiled(build(project)) == ["_C.abi3.so", "operators.cpp"]
    (project / "csrc/cpu/third.cpp").write_text('extern "C" int third() { return 3; }\n')
    assert compiled(build(project)) == ["_C.abi3.so", "third.cpp"]


@needs_compiler
def test_a_compile_error_fails_whatever_the_mode_and_leaves_no_record(project):
    assert build(project).returncode == 0
    (project / "csrc/cpu/other.cpp").write_text("int other( {}\n")
    for mode in ("auto", "require"):
        done = build(project, FASTERFPN_BUILD=mode)
        assert done.returncode != 0 and "FASTERFPN_BUILD=off" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert not (project / "fasterfpn/_C.json").exists()


@needs_compiler
def test_an_undefined_symbol_fails_now_and_not_at_load_time(project):
    (project / "csrc/cpu/other.cpp").write_text("int elsewhere();\nint other() { return elsewhere(); }\n")
    done = build(project)
    assert done.returncode != 0 and "elsewhere" in done.stdout + done.stderr


@needs_compiler
def test_off_removes_the_library_and_says_so(project):
    assert build(project).returncode == 0 and (project / "fasterfpn/_C.abi3.so").exists()
    assert build(project, FASTERFPN_BUILD="off").returncode == 0
    assert record(project) == {"built": False, "why": "FASTERFPN_BUILD=off"}
    assert not (project / "fasterfpn/_C.abi3.so").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="never builds here")
def test_without_a_compiler_auto_installs_and_require_fails(project, tmp_path):
    assert build(project, PATH=str(tmp_path)).returncode == 0
    assert record(project) == {"built": False, "why": "no C++ compiler was found"}
    for options in ({"FASTERFPN_BUILD": "require"}, {"FASTERFPN_CUDA": "1"}):
        done = build(project, PATH=str(tmp_path), **options)
        assert done.returncode != 0 and "apt install g++" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"FASTERFPN_BUILD": "maybe"}, "FASTERFPN_BUILD=maybe is none of auto, require, off."),
        ({"FASTERFPN_CUDA": "yes"}, "FASTERFPN_CUDA=yes is none of 0, 1."),
        ({"CXX": "no-such-compiler"}, "CXX=no-such-compiler is not to be found."),
    ],
)
def test_a_wrong_option_is_one_line(project, options, message):
    done = build(project, **options)
    assert done.returncode != 0 and done.stderr.splitlines()[-1] == f"fasterfpn: {message}"
    assert "Traceback" not in done.stderr


def test_cuda_asked_for_without_nvcc_is_one_line(script, monkeypatch):
    monkeypatch.setenv("FASTERFPN_CUDA", "1")
    monkeypatch.setattr(script, "find_nvcc", lambda: None)
    monkeypatch.setattr(script, "find_compiler", lambda: "c++")
    monkeypatch.setattr(script.sys, "platform", "linux")
    with pytest.raises(SystemExit, match="FASTERFPN_CUDA=1, but nvcc is neither"):
        script.decide()


def test_cuda_asked_for_without_its_sources_is_one_line(project, script):
    if not script.find_nvcc():
        pytest.skip("no nvcc")
    done = build(project, FASTERFPN_CUDA="1")
    assert done.returncode != 0 and "there is no csrc/cuda/*.cu" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("torch", "message"),
    [(None, "torch is missing"), ("2.9.1", "torch 2.9.1 is too old"), ("2.10.0", "ninja is missing")],
)
def test_a_missing_or_old_build_requirement_is_one_line(script, monkeypatch, torch, message):
    spec = type("Spec", (), {"origin": "/torch/__init__.py"})
    monkeypatch.setattr(script.util, "find_spec", lambda name: spec if name == "torch" and torch else None)
    monkeypatch.setattr(script.metadata, "version", lambda name: torch)
    with pytest.raises(SystemExit, match=message):
        script.find_torch()


@pytest.fixture
def nvcc(tmp_path):
    """A stand-in for an nvcc that knows four architectures."""
    path = tmp_path / "nvcc"
    path.write_text("#!/bin/sh\necho sm_75 sm_86 sm_90 sm_90a sm_120 | tr ' ' '\\n'\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        ("", ["7.5", "8.6", "9.0", "12.0+PTX"]),
        ("8.6;9.0+PTX", ["8.6", "9.0+PTX"]),
        (" 8.6 9.0a, 12.0; ", ["8.6", "9.0a", "12.0"]),
        (" ; ,", ["7.5", "8.6", "9.0", "12.0+PTX"]),
    ],
)
def test_architectures(script, nvcc, monkeypatch, wanted, result):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", wanted)
    assert script.architectures(nvcc) == result


@pytest.mark.parametrize("wanted", ["5.2;9.0", "Hopper", "90", "8.6+ptx"])
def test_an_architecture_that_nvcc_lacks_is_named(script, nvcc, monkeypatch, wanted):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", wanted)
    with pytest.raises(
        SystemExit, match=rf"cannot compile for '{re.escape(wanted.split(';')[0])}'.*7\.5 8\.6 9\.0 12\.0"
    ):
        script.architectures(nvcc)


def test_an_nvcc_that_cannot_say_what_it_knows_is_one_line(script, tmp_path):
    for number, body in enumerate(("exit 1", "echo sm_75; exit 1", "echo no such option")):
        path = tmp_path / f"nvcc{number}"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        with pytest.raises(SystemExit, match="--list-gpu-code"):
            script.architectures(str(path))


def test_an_nvcc_with_none_of_the_usual_architectures(script, tmp_path):
    path = tmp_path / "nvcc"
    path.write_text("#!/bin/sh\necho sm_130\n")
    path.chmod(0o755)
    assert script.architectures(str(path)) == ["13.0+PTX"]


def test_gencode(script):
    assert script.gencode("8.6") == ["-gencode=arch=compute_86,code=sm_86"]
    assert script.gencode("12.0+PTX")[1] == "-gencode=arch=compute_120,code=compute_120"
    assert script.gencode("9.0a") == ["-gencode=arch=compute_90a,code=sm_90a"]


@pytest.mark.slow
@needs_compiler
def test_cuda_sources_go_into_the_same_library(project, script):
    if not script.find_nvcc():
        pytest.skip("no nvcc")
    (project / "csrc/cuda").mkdir()
    (project / "csrc/cuda/fill.cu").write_text(KERNEL)
    (project / "csrc/cuda/glue.cpp").write_text(
        'extern "C" int launch(float*); int glue() { return launch(nullptr); }\n'
    )
    assert compiled(build(project)) == ["_C.abi3.so", "operators.cpp", "other.cpp"]
    assert record(project)["cuda"] == {"built": False, "why": "FASTERFPN_CUDA=0"}
    with_cuda = {"FASTERFPN_CUDA": "1", "TORCH_CUDA_ARCH_LIST": "9.0"}
    assert compiled(build(project, **with_cuda)) == ["_C.abi3.so", "fill.cu", "glue.cpp"]
    assert record(project)["cuda"]["architectures"] == ["9.0"]
    assert compiled(build(project, **with_cuda)) == []
    assert needed(project / "fasterfpn/_C.abi3.so") <= SYSTEM_LIBRARIES


SYSTEM_LIBRARIES = {"libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6", "libpthread.so.0", "librt.so.1"}
SYSTEM_LIBRARIES |= {"libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libtorch.so", "libtorch_cpu.so"}
SYSTEM_LIBRARIES |= {"libc10.so"}


def needed(file):
    """The libraries that `file` asks the loader for."""
    listing = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", listing))


@needs_library
@pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf")
def test_the_library_belongs_to_no_python_no_cuda_and_no_second_openmp():
    assert needed(backend.LIBRARY) <= SYSTEM_LIBRARIES


@needs_library
def test_the_library_is_in_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend.load.__wrapped__(), backend.problem()
    assert backend.problem() is None
    assert all(backend.is_native(name, "cpu") for name in backend.OPERATORS)
    assert not backend.is_native("no_such_operator", "cpu")


@needs_library
def test_the_flags_keep_comparisons_the_same_on_every_machine():
    flags = backend.build_record()["flags"]
    assert "-ffp-contract=off" in flags and not any(flag.startswith(("-march", "-ffast-math")) for flag in flags)
