"""Every version of RoI max pooling, on the CPU or a GPU, beside torchvision or else beside the reference.

    python benchmarks/roi_max_pool.py            to 4,000 RoIs: some three minutes
    python benchmarks/roi_max_pool.py --quick    to 100 RoIs
    python benchmarks/roi_max_pool.py --device cuda

All rivals must give the same values, and gradients equal to rounding, before anything is timed. Writes
benchmarks/results/roi_max_pool.md, .json and .svg, or roi_max_pool_cuda.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import timing
import torch
import tyro
from nms import uniform
from torch import Tensor

from fasterfpn.geometry import assign_levels
from fasterfpn.ops import backend, multiscale_roi_max_pool, use_backend

CHANNELS, BINS, STRIDES, IMAGE = 256, 7, (4, 8, 16, 32), (960, 1280)
SCALES = [1 / stride for stride in STRIDES]
TEXT = f"""{BINS} x {BINS} bins over P2 to P5 of a {IMAGE[1]} x {IMAGE[0]} image, {CHANNELS} channels, float32;
milliseconds: medians, the rivals in turns in one process, after their results were found to be equal. RoIs: centres
uniform over the image, sides exp(0.6 N(0, 1)) x 120, clipped, levels by eq. 2. torchvision pools level by level and is
given contiguous maps, ours all levels in one call and channels-last maps; nothing is kept from call to call.

The floor is the time in which the machine's memory can move what has to be moved once, at the rate at which torch
copies 256 MiB: forward, the maps and the values; with the backward pass also the arg-max and the gradient of the values
twice, and the gradients of the maps. Only where there are RoIs enough to read all of the maps does it mean something.

![time over the number of RoIs](NAME.svg)"""


@dataclass
class Case:
    """features: a (1, C, H, W) for each level, contiguous and channels-last; rois (R, 5); levels (R,)."""

    contiguous: list[Tensor]
    channels_last: list[Tensor]
    rois: Tensor
    levels: Tensor
    upstream: Tensor


def case(count: int, device: str) -> Case:
    rng = torch.Generator().manual_seed(count)
    shapes = [(1, CHANNELS, IMAGE[0] // stride, IMAGE[1] // stride) for stride in STRIDES]
    contiguous = [torch.randn(shape, generator=rng).to(device) for shape in shapes]
    channels_last = [feature.contiguous(memory_format=torch.channels_last) for feature in contiguous]
    boxes = uniform(count, rng, side=120.0).to(device)
    rois = torch.cat((torch.zeros(count, 1, device=device), boxes), dim=1)
    upstream = torch.randn(count, CHANNELS, BINS, BINS, generator=rng).to(device)
    return Case(contiguous, channels_last, rois, assign_levels(boxes) - 2, upstream)


def level_loop(features: list[Tensor], case: Case) -> Tensor:
    """torchvision's operator on each level in turn, as its MultiScaleRoIAlign does with RoIAlign."""
    values = features[0].new_zeros(len(case.rois), CHANNELS, BINS, BINS)
    for level, (feature, scale) in enumerate(zip(features, SCALES, strict=True)):
        chosen = (case.levels == level).nonzero()[:, 0]
        values[chosen] = timing.torchvision_ops().roi_pool(feature, case.rois[chosen], BINS, scale)
    return values


def rivals(case: Case, backward: bool) -> dict[str, Callable[[], list[Tensor]]]:
    """Each as a call without arguments that gives the values and, if asked for, the maps' gradients."""

    def call(maps: list[Tensor], pool: Callable[[list[Tensor]], Tensor]) -> list[Tensor]:
        leaves = [feature.detach().requires_grad_(backward) for feature in maps]
        values = pool(leaves)
        return [values, *torch.autograd.grad(values, leaves, case.upstream)] if backward else [values]

    def ours(backend: str, **version: int) -> Callable[[], list[Tensor]]:
        def pool(maps: list[Tensor]) -> Tensor:
            with use_backend(backend, **version):
                return multiscale_roi_max_pool(maps, case.rois, case.levels, SCALES, BINS)

        return lambda: call(case.channels_last, pool)

    first = {"reference": ours("reference")}
    if timing.torchvision_ops() is not None:
        first = {"torchvision": lambda: call(case.contiguous, lambda maps: level_loop(maps, case))}
    device = case.rois.device.type
    versions = range(1, len(backend.versions("roi_max_pool", device)) + 1)
    calls = first | {f"v{n}": ours("native", roi_max_pool=n) for n in versions}
    return {name: timing.waiting(call, device) for name, call in calls.items()}


def check(calls: dict[str, Callable[[], list[Tensor]]], newest: str, device: str) -> None:
    """The same values; and gradients that differ by rounding, on the CPU among the versions not even by that."""
    expected = calls[newest]()
    for name, call in calls.items():
        values, *gradients = call()
        close = torch.equal if name.startswith("v") and device == "cpu" else torch.allclose
        if not torch.equal(values, expected[0]) or not all(map(close, gradients, expected[1:])):
            raise SystemExit(f"{len(values)} RoIs: {name} and {newest} differ")


def least_bytes(case: Case, backward: bool) -> int:
    """What has to go through memory, each byte once for each pass that needs it."""
    maps = sum(feature.numel() for feature in case.contiguous)
    values = case.upstream.numel()
    forward = maps + values
    return 4 * (forward + (2 * values + values + maps if backward else 0))


def main(quick: bool = False, device: Literal["cpu", "cuda"] = "cpu", budget: float = 2.0) -> None:
    """Check, time, and write the results.

    Args:
        quick: only up to 100 RoIs.
        device: cpu or cuda.
        budget: seconds for each rival and size.
    """
    sizes = [size for size in (1, 10, 100, 512, 1000, 2000, 4000) if size <= (100 if quick else 4000)]
    tables, curves, newest = {}, {}, f"v{len(backend.versions('roi_max_pool', device))}"
    rate = timing.copy_rate(device)
    for title, backward in (("forward, without arg-max", False), ("forward and backward", True)):
        rows, points = [], {}
        for count in sizes:
            work = case(count, device)
            calls = rivals(work, backward)
            check(calls, newest, device)
            seconds = timing.medians(calls, budget)
            first, least = next(iter(calls)), least_bytes(work, backward) if count >= 512 else None
            row = {"RoIs": count} | {f"{name} [ms]": value * 1e3 for name, value in seconds.items()}
            row[f"{first} / {newest}"] = seconds[first] / seconds[newest]
            row["floor [ms]"] = least and least / rate * 1e3
            row[f"{newest} / floor"] = least and seconds[newest] * rate / least
            row[f"{newest} [GB/s]"] = least and least / seconds[newest] / 1e9
            rows.append(row)
            print(title, row, flush=True)
            for name, value in seconds.items():
                points.setdefault(name, ([], []))[0].append(count)
                points[name][1].append(value * 1e3)
        tables[title], curves[title] = rows, points
    file, where = ("roi_max_pool", "on the CPU") if device == "cpu" else ("roi_max_pool_cuda", "on a GPU")
    text = TEXT.replace("NAME", file) + f"\n\nCopying: {rate / 1e9:.1f} GB/s, read and written bytes together."
    timing.write_results(file, f"RoI max pooling {where}", text, tables, device)
    timing.save_curves(file, curves, "RoIs", "milliseconds")


if __name__ == "__main__":
    tyro.cli(main)
