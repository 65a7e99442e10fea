"""Runs libraries of emulated CUDA kernels under ThreadSanitizer, each in a process of its own.

    LD_PRELOAD=.../libtsan.so TSAN_OPTIONS=halt_on_error=1 python tests/ops/race_cases.py REPORTS LIBRARY...

REPORTS is a folder: it gets a file LIBRARY.txt of what each had to say. Prints each library's exit status: RACE, 1 for a
wrong result or a refusal, 0 for neither. `test_cuda_races.py` calls it: torch is loaded once, for all of them.
"""

import os
import sys
from pathlib import Path

import torch

import emulated_cuda
from fasterfpn.ops import reference
from operator_cases import generator
from test_cuda_kernels import check_gradients, crowd, pooling_case

RACE = 66  # ThreadSanitizer's exit status


def check_nms(version: int, seed: int) -> None:
    """Three chunks of 128: the last boxes of a chunk's last segment lie beyond it, and two blocks strike them out."""
    boxes, scores, segments = crowd(300, 5)
    for arguments in ((boxes, scores, None, 0.3), (boxes.double(), scores, segments, 0.3)):
        assert torch.equal(emulated_cuda.nms(*arguments, version, seed, chunk=256), reference.nms(*arguments))


def check_pooling(version: int, seed: int) -> None:
    """More bins than are staged at once, two blocks of channels, tiles cut by the edge, RoIs for every warp."""
    case = pooling_case(33, [(11, 10), (6, 5)], 6, 9)
    values, argmax = emulated_cuda.roi_max_pool(*case, True, version, seed)
    expected = reference.roi_max_pool(*case)
    assert torch.equal(values, expected[0]) and torch.equal(argmax, expected[1])
    upstream = torch.randint(-2, 3, values.shape, generator=generator(0)).float()
    check_gradients(version, case, upstream, argmax, seed, exact=True)


def check_all() -> None:
    for seed in emulated_cuda.SEEDS:
        for version in range(1, emulated_cuda.VERSIONS["nms"] + 1):
            check_nms(version, seed)
        for version in range(1, emulated_cuda.VERSIONS["roi_max_pool"] + 1):
            check_pooling(version, seed)


def in_a_process(report: Path, function, *arguments) -> int:
    """Its exit status; `report` gets what it writes to standard error."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        status = 1
        try:
            function(*arguments)
            status = 0
        except Exception as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_library(library: str) -> None:
    os.environ["FASTERFPN_EMULATED_CUDA"] = library
    check_all()


if __name__ == "__main__":
    reports, *libraries = map(Path, sys.argv[1:])
    for library in libraries:
        print(library.name, in_a_process(reports / f"{library.name}.txt", check_library, str(library)), flush=True)
