"""Every version of NMS, on the CPU or a GPU, beside torchvision where it can be imported, else beside the reference.

    python benchmarks/nms.py            all sizes, to a million boxes: some ten minutes, most of them torchvision's
    python benchmarks/nms.py --quick    to 10,000 boxes: half a minute
    python benchmarks/nms.py --device cuda

All rivals must give the same indices before anything is timed. Writes benchmarks/results/nms.md, .json and .svg,
or nms_cuda.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import timing
import torch
import tyro
from torch import Tensor

from fasterfpn.ops import backend, batched_nms, nms, use_backend

THRESHOLD = 0.7
TEXT = f"""Greedy NMS at IoU {THRESHOLD}, float32, milliseconds: medians, the rivals in turns in one process, after
their results were found to be equal. A dash: it would have taken too long, or too much memory.

- uniform: centres uniform over 1280 x 960 (a million: over 12800 x 9600), sides exp(0.6 N(0, 1)) x 64, clipped
- crowded: 100 such boxes of side 100, each box one of them with 8 N(0, 1) added to every corner
- five levels: as an RPN hands them over, uniform boxes in five segments of 20, 20, 20, 20 and 9 parts; `batched_nms`

![time over the number of boxes](NAME.svg)"""


@dataclass
class Case:
    kind: str
    boxes: Tensor
    scores: Tensor
    segments: Tensor | None = None


def uniform(
    count: int, rng: torch.Generator, side: float = 64.0, size: tuple[float, float] = (1280.0, 960.0)
) -> Tensor:
    bounds = torch.tensor(size)
    centres = torch.rand(count, 2, generator=rng) * bounds
    sides = torch.exp(0.6 * torch.randn(count, 2, generator=rng)) * side
    corners = torch.stack((centres - sides / 2, centres + sides / 2), dim=1)
    return corners.clamp(torch.zeros(2), bounds).view(count, 4)


def crowded(count: int, rng: torch.Generator) -> Tensor:
    base = uniform(100, rng, side=100.0)
    boxes = base[torch.randint(100, (count,), generator=rng)] + 8 * torch.randn(count, 4, generator=rng)
    return torch.cat((boxes[:, :2], boxes[:, 2:].maximum(boxes[:, :2] + 1)), dim=1)


def case(kind: str, count: int, device: str = "cpu") -> Case:
    rng = torch.Generator().manual_seed(count)
    scores = torch.randperm(count, generator=rng) / count  # distinct: torchvision orders ties of segments as it likes
    if kind == "crowded":
        return Case(kind, crowded(count, rng).to(device), scores.to(device))
    large = {"size": (12800.0, 9600.0)} if count >= 1_000_000 else {}
    boxes, scores = uniform(count, rng, **large).to(device), scores.to(device)
    if kind == "uniform":
        return Case(kind, boxes, scores)
    return Case(kind, boxes, scores, torch.arange(count, device=device) * 89 // count // 20)


def rivals(case: Case) -> dict[str, Callable[[], Tensor]]:
    """torchvision or the reference, and every version of ours, each as a call without arguments."""

    def ours(backend: str, **version: int) -> Callable[[], Tensor]:
        def call() -> Tensor:
            with use_backend(backend, **version):
                if case.segments is None:
                    return nms(case.boxes, case.scores, THRESHOLD)
                return batched_nms(case.boxes, case.scores, case.segments, THRESHOLD)

        return call

    def torchvisions() -> Tensor:
        if case.segments is None:
            return rival.nms(case.boxes, case.scores, THRESHOLD)
        return rival.batched_nms(case.boxes, case.scores, case.segments, THRESHOLD)

    rival = timing.torchvision_ops()
    first = {"reference": ours("reference")} if rival is None else {"torchvision": torchvisions}
    device = case.boxes.device.type
    calls = first | {f"v{n}": ours("native", nms=n) for n in range(1, len(backend.versions("nms", device)) + 1)}
    return {name: timing.waiting(call, device) for name, call in calls.items()}


def measure(
    case: Case, newest: str, expected: dict[str, float], limit: float, budget: float
) -> tuple[int, dict[str, float]]:
    """The number of kept boxes and the median seconds of each rival that is `expected` to be done within `limit`."""
    calls = {name: call for name, call in rivals(case).items() if expected.get(name, 0.0) <= limit}
    results, seconds = {}, {}
    for name, call in calls.items():
        start = time.perf_counter()
        try:
            results[name] = call()
        except torch.OutOfMemoryError:  # v1 on a GPU takes N^2 bits
            continue
        seconds[name] = time.perf_counter() - start
    for name, result in results.items():
        if not torch.equal(result, results[newest]):
            raise SystemExit(f"{case.kind}, {len(case.boxes)} boxes: {name} and {newest} differ")
    short = {name: call for name, call in calls.items() if seconds.get(name, 5.0) < 5.0}  # else, once was enough
    return len(results[newest]), seconds | timing.medians(short, budget)


def main(quick: bool = False, device: Literal["cpu", "cuda"] = "cpu", limit: float = 30.0, budget: float = 1.0) -> None:
    """Check, time, and write the results.

    Args:
        quick: only up to 10,000 boxes.
        device: cpu or cuda.
        limit: seconds; leave out whoever would need longer for one call, going by the size before.
        budget: seconds for each rival and size.
    """
    sizes = [100, 300, 1000, 2000, 5000, 8900, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    sizes = [size for size in sizes if size <= (10_000 if quick else 1_000_000)]
    tables, curves, newest = {}, {}, f"v{len(backend.versions('nms', device))}"
    names = list(rivals(case("uniform", 1, device)))
    for kind in ("uniform", "crowded", "five levels"):
        rows, points = [], {name: ([], []) for name in names}
        expected, before = dict.fromkeys(names, 0.0), sizes[0]
        for count in sizes:
            # Quadratic at worst; who was left out stays out.
            expected = {name: seconds * (count / before) ** 2 for name, seconds in expected.items()} | {newest: 0.0}
            kept, seconds = measure(case(kind, count, device), newest, expected, limit, budget)
            expected, before = {name: seconds.get(name, float("inf")) for name in names}, count
            row = {"boxes": count, "kept": kept}
            row |= {f"{name} [ms]": seconds[name] * 1e3 if name in seconds else None for name in names}
            row[f"{names[0]} / {newest}"] = seconds[names[0]] / seconds[newest] if names[0] in seconds else None
            rows.append(row)
            print(kind, row, flush=True)
            for name, value in seconds.items():
                points[name][0].append(count)
                points[name][1].append(value * 1e3)
        tables[kind], curves[kind] = rows, points
    file, where = ("nms", "on the CPU") if device == "cpu" else ("nms_cuda", "on a GPU")
    timing.write_results(file, f"Non-maximum suppression {where}", TEXT.replace("NAME", file), tables, device)
    timing.save_curves(file, curves, "boxes", "milliseconds")


if __name__ == "__main__":
    tyro.cli(main)
