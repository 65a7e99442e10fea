"""The CUDA kernels have no race, and each of their barriers is needed: without it there is one.

ThreadSanitizer finds the races, on the emulation of tests/cuda_emulation/races.h; race_cases.py is what runs under it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import emulated_cuda
import pytest
from race_cases import CLEAN, RACE

# The launches of races.cpp.
LAUNCHES = [RACE, CLEAN, RACE, CLEAN, RACE, CLEAN, RACE, RACE, CLEAN, RACE, CLEAN, CLEAN, RACE]
BARRIER = re.compile(r"__sync(threads|warp)\(.*?\);")
CUDA = emulated_cuda.CSRC / "cuda"
CHANGES = [  # a file, a piece of it, what the change makes of the piece, and, where it stands there again, which one
    *[
        (file.name, match.group(), "", match.string.count(match.group(), 0, match.start()))
        for file in sorted(CUDA.glob("*.cu"))
        for match in BARRIER.finditer(file.read_text())
    ],
    # what needs no barrier, and why
    ("nms.cu", "threadIdx.x == last_word % kWarp", "threadIdx.x == 0", 0),  # scan: a word has one lane
    ("nms.cu", "volatile bool* struck", "bool* struck", 0),  # strike_later: as several blocks strike out a box
    ("nms.cu", "atomicAdd(&number, 1)", "number++", 0),
]


def changed(name: str, old: str, new: str, which: int, folder: Path) -> str:
    """The job of running the kernels with this change."""
    csrc = folder / f"{name}-{which}-{new.split(' ')[0]}" / "csrc"
    shutil.copytree(emulated_cuda.CSRC, csrc)
    pieces = (csrc / "cuda" / name).read_text().split(old)
    (csrc / "cuda" / name).write_text(old.join(pieces[: which + 1]) + new + old.join(pieces[which + 1 :]))
    return f"{'nms' if name == 'nms.cu' else 'roi_max_pool'}={emulated_cuda.build(csrc, emulated_cuda.RACES)}"


def run(folder: Path, jobs: list[str]) -> list[tuple[int, str]]:
    """Each job's exit status and report."""
    found = [emulated_cuda.COMPILER, "-print-file-name=libtsan.so"]
    sanitizer = subprocess.run(found, capture_output=True, text=True, check=True).stdout.strip()
    environment = os.environ | {"LD_PRELOAD": sanitizer, "TSAN_OPTIONS": "halt_on_error=1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("race_cases.py")), str(folder), *jobs]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    reports = [(folder / f"{number}.txt").read_text() for number in range(len(jobs))]
    return list(zip(map(int, done.stdout.split()), reports, strict=True))


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    """What became of the launches of races.cpp; skips the tests where ThreadSanitizer does not link or run."""
    if not emulated_cuda.COMPILER:
        pytest.skip("no g++ to build the emulation")
    try:
        source = emulated_cuda.EMULATION / "races.cpp"
        library = emulated_cuda.compile_library(emulated_cuda.CSRC, [source], emulated_cuda.RACES)
        return run(tmp_path_factory.mktemp("launches"), [f"{n}={library}" for n in range(len(LAUNCHES))])
    except (RuntimeError, subprocess.CalledProcessError) as error:
        pytest.skip(f"g++ {' '.join(emulated_cuda.RACES)} does not link or run: {str(error)[-500:]}")


@pytest.mark.slow
def test_races_are_told_from_what_is_ordered(launches):
    assert [status for status, _ in launches] == LAUNCHES


@pytest.mark.slow
def test_the_kernels_have_no_race(launches, tmp_path):
    library = emulated_cuda.build(flags=emulated_cuda.RACES)
    for status, report in run(tmp_path, [f"nms={library}", f"roi_max_pool={library}"]):
        assert status == CLEAN, report


@pytest.mark.slow
def test_without_a_barrier_there_is_a_race(launches, tmp_path):
    jobs = [changed(*change, tmp_path) for change in CHANGES]
    found = zip(CHANGES, run(tmp_path, jobs), strict=True)
    assert [(change, report) for change, (status, report) in found if status != RACE] == []


def test_the_table_of_barriers_is_complete():
    """Chapter 18 has a row for each, in the order of the sources."""
    chapter = (emulated_cuda.ROOT / "docs/18_cuda_kernels.md").read_text()
    table = chapter[chapter.index("| kernel | what the barrier") :].split("\n\n")[0]
    kernels = []
    for file in sorted(CUDA.glob("*.cu")):
        source = file.read_text()
        for barrier in BARRIER.finditer(source):
            kernels.append(re.findall(r"__global__ void (\w+)", source[: barrier.start()])[-1])
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == kernels
