"""The doctor's report, and the one line that each kind of broken installation gets."""

import json
import os
import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn import doctor
from fasterfpn.ops import backend


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder without a library, for `backend` to look into; nothing is remembered from before or after."""
    monkeypatch.setattr(backend, "LIBRARY", tmp_path / "_C.abi3.so")
    monkeypatch.setattr(backend, "RECORD", tmp_path / "_C.json")
    backend.problem.cache_clear()
    backend.load.cache_clear()
    yield tmp_path
    backend.problem.cache_clear()
    backend.load.cache_clear()


def record(package, **content):
    (package / "_C.json").write_text(json.dumps(content))


def warning_of_load():
    """load()'s one warning, or None; a second call gives none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not backend.load() and not backend.load()
    assert len(caught) <= 1
    return str(caught[0].message) if caught else None


@pytest.mark.slow
def test_the_command_prints_json_that_agrees_with_the_library(tmp_path):
    command = [sys.executable, "-m", "fasterfpn.doctor", "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout)
    assert report["torch"] == torch.__version__
    assert report["python"] == sys.version.split()[0]
    assert report["library"]["loaded"] is backend.load()
    for name in backend.OPERATORS:
        for device in ("cpu", "cuda"):
            assert (report["operators"][name][device] == "native") is backend.is_native(name, device)
    assert all("\n" not in line for line in report["remedies"])


def test_the_text_names_every_operator_and_remedy(capsys):
    doctor.main()
    printed = capsys.readouterr().out
    for word in ("Python", "torch", "compiler", "nvcc", *backend.OPERATORS, *doctor.examine()["remedies"]):
        assert word in printed


def test_nothing_built(package):
    assert "nothing has been built" in warning_of_load()
    assert doctor.examine()["operators"]["nms"] == {"cpu": "reference", "cuda": "reference"}


def test_without_a_compiler_it_says_which_package_to_install(package):
    record(package, built=False, why="no C++ compiler was found")
    assert "apt install g++" in warning_of_load()
    assert "apt install g++" in doctor.as_text(doctor.examine())


def test_a_library_that_was_not_wanted_warns_of_nothing_but_the_doctor_tells(package):
    record(package, built=False, why="FASTERFPN_BUILD=off")
    assert warning_of_load() is None
    assert "FASTERFPN_BUILD=off" in doctor.examine()["remedies"][0]


def test_an_unfinished_build(package):
    (package / "_C.abi3.so").write_bytes(b"old")
    assert "the last build did not finish" in warning_of_load()


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF\x02\x01\x01" + bytes(100)])
def test_a_library_that_does_not_load(package, content):
    (package / "_C.abi3.so").write_bytes(content)
    record(package, built=True, compiler="c++", compiler_version="c++ 1", flags=[], torch="2.13", cuda={"built": False})
    warning = warning_of_load()
    assert "do not load under torch" in warning and backend.REBUILD in warning and "\n" not in warning


def test_a_library_that_is_gone(package):
    record(package, built=True, compiler="c++", compiler_version="c++ 1", flags=[], torch="2.13", cuda={"built": False})
    assert backend.REBUILD in warning_of_load()


@pytest.mark.skipif(not backend.build_record()["built"], reason="installed without the library")
def test_a_library_older_than_the_python(monkeypatch):
    monkeypatch.setattr(backend, "OPERATORS", (*backend.OPERATORS, "later_operator"))
    line = backend.problem.__wrapped__()
    assert "later_operator" in line and backend.REBUILD in line


def test_sources_changed_after_the_build(package, monkeypatch):
    (package / "csrc").mkdir()
    (package / "csrc/nms.cpp").touch()
    (package / "_C.abi3.so").touch()
    monkeypatch.setattr(backend, "PACKAGE", package / "fasterfpn")
    monkeypatch.setattr(backend, "IN_CHECKOUT", True)
    later = (package / "_C.abi3.so").stat().st_mtime + 10
    assert doctor.changed_sources() == []
    os.utime(package / "csrc/nms.cpp", (later, later))
    assert doctor.changed_sources() == ["csrc/nms.cpp"]


REPORT = {
    "compiler": "c++",
    "nvcc": "nvcc",
    "torch_cuda": None,
    "gpus": [],
    "library": {"built": True, "loaded": True, "cuda": {"built": True, "architectures": ["8.0", "9.0"]}},
}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, None),
        ({"compiler": None}, "no C++ compiler"),
        ({"nvcc": None}, "no nvcc"),
        ({"library": {"cuda": {"built": False, "why": "FASTERFPN_CUDA=0"}}}, "built without CUDA operators"),
        ({"gpus": [{"name": "Some GPU", "capability": "8.6"}]}, None),
        ({"gpus": [{"name": "Some GPU", "capability": "12.0"}]}, "TORCH_CUDA_ARCH_LIST=12.0"),
    ],
)
def test_one_remedy_for_each_thing_missing(monkeypatch, change, line):
    monkeypatch.setattr(backend, "problem", lambda: None)
    monkeypatch.setattr(doctor, "changed_sources", list)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    lines = doctor.remedies(REPORT | change)
    assert len(lines) == (line is not None) and (line is None or line in lines[0])


VERSIONS = st.tuples(st.integers(7, 13), st.integers(0, 9))


@given(built=st.lists(st.tuples(VERSIONS, st.booleans()), min_size=1, max_size=4), device=VERSIONS)
def test_which_devices_the_code_covers(built, device):
    """Machine code: the same major version, not older. PTX: any device not older."""
    expected = any(
        device >= version if ptx else device[0] == version[0] and device[1] >= version[1] for version, ptx in built
    )
    names = [f"{major}.{minor}" + "+PTX" * ptx for (major, minor), ptx in built]
    assert doctor.covers(names, f"{device[0]}.{device[1]}") is expected
