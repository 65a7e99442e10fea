"""Random inputs without end, for some minutes, under AddressSanitizer and UndefinedBehaviorSanitizer.

    python benchmarks/fuzz_kernels.py [--minutes 5] [--seed N]

Half of the time goes to the CPU kernels, called through torch; half to the CUDA kernels, compiled for the CPU, their
threads in a new random order each time. Inputs are those of the tests (boundaries, ties, degenerates, odd layouts),
larger ones, and for CUDA RoIs of noise, which it must answer with zeros. All results must be the reference's, bit for
bit. Prints what was run and what was found; the seed of a failure repeats it.
"""

import os
import random
import shutil
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Literal

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/ops")]
import emulated_cuda  # noqa: E402
import tyro  # noqa: E402
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis import seed as from_seed  # noqa: E402
from operator_cases import DTYPES, THRESHOLDS, box_sets, generator, pooling_cases, running  # noqa: E402
from test_cuda_kernels import crowd, pooling_case  # noqa: E402

from fasterfpn.ops import backend, reference  # noqa: E402


def drawn(strategy, number: int, check) -> None:
    """check(example) for 20 examples of a strategy."""

    @from_seed(number)
    @settings(
        max_examples=20,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def examples(example):
        check(example)

    examples()


def equal(result, expected) -> None:
    for one, other in zip(result, expected, strict=True):
        if not torch.equal(one, other):
            raise AssertionError(f"{(one != other).sum() if one.shape == other.shape else one.shape} differ")


def emulated_nms(version, arguments, number):
    return emulated_cuda.nms(*arguments, version, number, random.Random(number).choice((64, 128, 1024)))


def native_nms(version, arguments, _):
    with running(f"nms v{version}"):
        return torch.ops.fasterfpn.nms(*arguments, backend.version("nms"))


def emulated_pooling(version, case, number):
    values, argmax = emulated_cuda.roi_max_pool(*case, True, version, number, number % 2 == 0)
    shapes = [feature.shape for feature in case[0]]
    ones = torch.ones(()).to(values.dtype).expand(values.shape)
    gradients = emulated_cuda.roi_max_pool_backward(ones, *case[1:3], argmax, shapes, number % 3 > 0, version, number)
    return values, argmax.int(), gradients


def native_pooling(version, case, number):
    values, argmax = torch.ops.fasterfpn.roi_max_pool(*case, True, version)
    shapes = [size for feature in case[0] for size in feature.shape]
    arguments = torch.ones_like(values), *case[1:3], argmax, shapes, case[3], number % 3 > 0, version
    return values, argmax.int(), torch.ops.fasterfpn.roi_max_pool_backward(*arguments)


def check_pooling(pool, version, case, number) -> None:
    values, argmax, gradients = pool(version, case, number)
    equal((values, argmax), reference.roi_max_pool(*case))
    total = sum(gradient.double().sum() for gradient in gradients)
    # Half types may round a cell that many bins share.
    if values.dtype in (torch.float32, torch.float64) and total != (argmax >= 0).sum():
        raise AssertionError(f"the gradients' sum is {total}, not {(argmax >= 0).sum()}")


def check_noise(version, number) -> None:
    """RoIs and levels of random bits, an arg-max of random numbers: nothing but what it should be is touched."""
    rng = generator(number)
    features, rois, levels, scales, size = pooling_case(3, [(9, 8), (5, 4)], 12, 3, seed=number)
    bits = torch.randint(-(2**31), 2**31, rois.shape, generator=rng).int().view(torch.float32)
    rois = torch.where(torch.rand(rois.shape, generator=rng) < 0.2, bits, rois)
    levels = torch.where(
        torch.rand(12, generator=rng) < 0.2, torch.randint(-(2**62), 2**62, (12,), generator=rng), levels
    )
    values, argmax = emulated_cuda.roi_max_pool(features, rois, levels, scales, size, True, version, number)
    argmax = torch.where(torch.rand(argmax.shape, generator=rng) < 0.2, argmax - 2**30, argmax * 3 + 1)
    shapes = [feature.shape for feature in features]
    emulated_cuda.roi_max_pool_backward(values, rois, levels, argmax, shapes, number % 2 == 0, version, number)


def run(emulated: bool, seconds: float, number: int) -> None:
    """Fuzzes for some seconds, from the seed `number` up."""
    device, done, end = "cuda" if emulated else "cpu", Counter(), time.monotonic() + seconds
    device = "cuda" if emulated else "cpu"
    versions = {kernel: len(backend.versions(kernel, device)) for kernel in backend.KERNELS}
    nms, pool = (emulated_nms, emulated_pooling) if emulated else (native_nms, native_pooling)
    while time.monotonic() < end:
        number += 1
        pick = random.Random(number)
        kind, threshold = pick.choice(("nms", "crowd", "pool", "large pool", "noise")), pick.choice(THRESHOLDS)
        batched, version = pick.random() < 0.5, 0
        name = "nms" if kind in ("nms", "crowd") else "roi_max_pool"
        try:
            for version in range(1, versions[name] + 1):

                def check_nms(boxes, version=version, threshold=threshold, batched=batched, number=number):
                    arguments = boxes[0], boxes[1], boxes[2] if batched else None, threshold
                    equal([nms(version, arguments, number)], [reference.nms(*arguments)])

                def check_pool(case, version=version, number=number):
                    check_pooling(pool, version, case, number)

                if kind == "nms":
                    drawn(box_sets(DTYPES), number, check_nms)
                elif kind == "crowd":
                    check_nms(crowd(pick.randrange(1, 400), number, pick.choice(DTYPES)))
                elif kind == "pool":
                    drawn(pooling_cases(DTYPES), number, check_pool)
                elif kind == "large pool":
                    channels, sides = pick.choice((1, 31, 32, 33, 70)), [(pick.randrange(40), pick.randrange(40))]
                    shape = channels, sides * pick.randrange(1, 4), pick.randrange(50), pick.randrange(1, 12)
                    check_pool(pooling_case(*shape, pick.choice(DTYPES), number))
                elif emulated:
                    check_noise(version, number)
                done[f"{device} {name} v{version}, {kind}"] += 20 if kind in ("nms", "pool") else 1
        except Exception:
            traceback.print_exc()
            sys.exit(f"FOUND: {device} {name} v{version}, {kind}; repeat with --seed {number - 1}")
    for what, times in sorted(done.items()):
        if emulated or not what.endswith("noise"):
            print(f"{times:8} {what}")


def sanitized_package() -> Path:
    """A folder with the package, its CPU kernels compiled with the sanitizers."""
    folder = ROOT / "build/sanitized"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("csrc", "fasterfpn"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("_C.*"))
    shutil.copy(ROOT / "setup.py", folder)
    compiler = " ".join(("g++", *emulated_cuda.SANITIZE))
    environment = os.environ | {"CXX": compiler, "FASTERFPN_CUDA": "0", "FASTERFPN_BUILD": "require"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder


def main(minutes: float = 5, seed: int | None = None, part: Literal["cpu", "cuda"] | None = None) -> None:
    """Fuzz all kernels.

    Args:
        minutes: in all.
        seed: where the random numbers begin; without one, the clock's.
        part: one half alone, in this process, as this script starts itself with the sanitizers in place.
    """
    seed = int(time.time()) if seed is None else seed
    warnings.simplefilter("ignore")
    if part is not None:
        return run(part == "cuda", 30 * minutes, seed)
    print(f"seed {seed}, {minutes} minutes", flush=True)
    where = ["g++", "-print-file-name=libasan.so"]
    environment = os.environ | {
        "FASTERFPN_EMULATED_CUDA": str(emulated_cuda.build(flags=emulated_cuda.SANITIZE)),
        "LD_PRELOAD": subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "PYTHONPATH": str(sanitized_package()),
    }
    for part in ("cpu", "cuda"):
        command = [sys.executable, __file__, f"--part={part}", f"--minutes={minutes}", f"--seed={seed}"]
        if code := subprocess.run(command, env=environment).returncode:
            sys.exit(f"FOUND something, see above (exit status {code})")
    print("found nothing")


if __name__ == "__main__":
    tyro.cli(main)
