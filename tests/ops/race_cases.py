"""Runs emulated CUDA kernels under ThreadSanitizer, each job in a process of its own, forked after torch is loaded.

    LD_PRELOAD=.../libtsan.so TSAN_OPTIONS=halt_on_error=1 python tests/ops/race_cases.py REPORTS JOB...

A job is CASE=LIBRARY, where CASE is nms, roi_max_pool or the number of a launch in cuda_emulation/races.cpp. Prints a
line for each: the exit status. REPORTS, a folder, gets what the jobs wrote to standard error as 0.txt, 1.txt, ...
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

import emulated_cuda
import torch
from operator_cases import generator
from test_cuda_kernels import crowd, pooling_case, sums_of_gradients

from fasterfpn.ops import reference

CLEAN, WRONG, RACE = 0, 1, 66  # exit statuses; the last is ThreadSanitizer's
MOST_SECONDS = 300


def check_nms(version: int, seed: int) -> None:
    """More boxes than a chunk of 192: a crowd in segments; or boxes apart, and copies that two blocks strike out.

    There are many copies: ThreadSanitizer forgets most accesses to bytes that lie side by side.
    """
    if seed % 2 == 0:
        boxes, scores, segments = crowd(200, 5, torch.float64)
    else:
        boxes = 10 * torch.arange(192.0)[:, None] + torch.tensor([0.0, 0.0, 5.0, 5.0])
        boxes, segments = torch.cat((boxes, boxes[64:])), None
        scores = -torch.arange(len(boxes)).float()
    arguments = boxes, scores, segments, 0.3
    assert torch.equal(emulated_cuda.nms(*arguments, version, seed, chunk=192), reference.nms(*arguments))


def check_roi_max_pool(version: int, seed: int) -> None:
    """More bins than are staged at once, and tiles that several RoIs meet."""
    case = features, rois, levels, *_ = pooling_case(3, [(11, 10), (6, 5)], 4, 9)
    values, argmax = emulated_cuda.roi_max_pool(*case, True, version, seed)
    expected = reference.roi_max_pool(*case)
    assert torch.equal(values, expected[0]) and torch.equal(argmax, expected[1])
    upstream = torch.randint(-2, 3, values.shape, generator=generator(0)).float()  # small integers add up exactly
    shapes = [feature.shape for feature in features]
    given = upstream, rois, levels, argmax
    gradients = emulated_cuda.roi_max_pool_backward(*given, shapes, seed % 2 == 1, version, seed)
    for gradient, sums in zip(gradients, sums_of_gradients(*given, shapes), strict=True):
        assert torch.equal(gradient.double(), sums)


def run(case: str, library: str) -> None:
    if case.isdigit():
        launch, out = ctypes.CDLL(library).races, (ctypes.c_int * 66)()
        for seed in emulated_cuda.SEEDS:
            launch(int(case), ctypes.c_uint64(seed), out)
        return
    os.environ["FASTERFPN_EMULATED_CUDA"] = library
    check = {"nms": check_nms, "roi_max_pool": check_roi_max_pool}[case]
    for seed in emulated_cuda.SEEDS:
        for version in range(emulated_cuda.VERSIONS[case], 0, -1):
            check(version, seed)


def status_of(job: str, report: Path) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        signal.alarm(MOST_SECONDS)
        status = WRONG
        try:
            run(*job.split("=", 1))
            status = CLEAN
        except Exception as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for number, job in enumerate(sys.argv[2:]):
        print(status_of(job, Path(sys.argv[1]) / f"{number}.txt"), flush=True)
