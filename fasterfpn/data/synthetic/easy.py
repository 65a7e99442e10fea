"""Built-in data: synthetic photographs of aluminium profiles with the paper's ten kinds of defect.

N defects of an image; H, W its height and width in pixels. An image depends on seed, index, size and difficulty alone,
so any number of processes makes the same ones.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from fasterfpn.data.splits import Splits
from fasterfpn.data.synthetic.easy_defects import ALUMINIUM_CLASSES, draw_defect
from fasterfpn.data.synthetic.easy_scene import draw_scene
from fasterfpn.errors import InputError
from fasterfpn.files import whole_folder

BUILT_IN_SIZE = (240, 320)
BUILT_IN_IMAGES = {"train": 1000, "val": 100, "test": 300}
SMALLEST_SIDE = 64
MARGIN = 0.01  # of the width, kept free on either side of a defect
DIFFICULTIES = ("easy",)
CHUNK = 8  # images a worker process takes at a time
Result = TypeVar("Result")


def synthesize_profile(
    seed: int, index: int, size: tuple[int, int] = BUILT_IN_SIZE, difficulty: str = "easy"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image number `index` of `seed`: uint8 (H, W, 3) RGB, boxes float32 (N, 4) x1 y1 x2 y2, labels int64 (N,) from 1.

    "easy": 1 to 3 defects, every kind equally likely, side by side without overlap; 2 images in 5 show one kind only.
    The boxes hug what is drawn, at whole pixels. Raises InputError for another difficulty, a negative seed or index,
    and a side under 64 pixels.
    """
    check_request(seed, size, difficulty)
    if index < 0:
        raise InputError(f"index is {index}; give 0 or more")
    rng = np.random.default_rng([seed, index])
    image, profiles = draw_scene(rng, size)
    count = rng.integers(1, 4)
    labels = rng.integers(1, len(ALUMINIUM_CLASSES) + 1, count)
    if rng.random() < 0.4:
        labels[:] = labels[0]
    cuts = (np.arange(count + 1) + rng.uniform(-0.12, 0.12, count + 1)) / count  # each defect has columns of its own
    cuts[0], cuts[-1] = 0, 1
    boxes = []
    for label, start, end in zip(labels, cuts, cuts[1:], strict=False):
        profile = profiles[rng.integers(len(profiles))]
        span = (start + MARGIN) * size[1], (end - MARGIN) * size[1]
        boxes.append(draw_defect(rng, image, profile, ALUMINIUM_CLASSES[label - 1], span))
    image += np.float32(0.012) * rng.standard_normal(image.shape, dtype=np.float32)  # the camera's noise
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels, np.array(boxes, np.float32), labels.astype(np.int64)


def check_request(seed: int, size: tuple[int, int], difficulty: str) -> None:
    """Raise InputError for what cannot be synthesized."""
    if difficulty not in DIFFICULTIES:
        raise InputError(f"difficulty is {difficulty!r}; give one of {', '.join(DIFFICULTIES)}")
    if seed < 0:
        raise InputError(f"seed is {seed}; give 0 or more")
    if min(size) < SMALLEST_SIDE:
        raise InputError(f"size {size[1]}x{size[0]} is too small; give at least {SMALLEST_SIDE}x{SMALLEST_SIDE}")


class SyntheticDataset(Dataset):
    """Images `first` to `first + images - 1` of a seed, made at construction and kept as uint8.

    Has what `LabelledImages` asks; equal for any number of `workers` (processes; None: one a CPU).
    """

    classes = ALUMINIUM_CLASSES

    def __init__(
        self,
        images: int,
        seed: int,
        size: tuple[int, int] = BUILT_IN_SIZE,
        *,
        first: int = 0,
        difficulty: str = "easy",
        workers: int | None = None,
        progress: bool = True,
    ) -> None:
        check_request(seed, size, difficulty)
        self.first = first
        make = partial(synthesize_profile, seed, size=size, difficulty=difficulty)
        self._made = list(in_processes(make, range(first, first + images), workers, "synthesizing", progress))

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image float32 (3, H, W) RGB in 0..1 and its target; the tensors are the caller's to change."""
        pixels, boxes, labels = self._made[index]
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div_(255)
        difficult = torch.zeros(len(labels), dtype=torch.bool)
        return image, {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels), "difficult": difficult}

    def targets(self, index: int) -> dict[str, Tensor]:
        """The target of the image."""
        return self[index][1]

    def size(self, index: int) -> tuple[int, int]:
        """(H, W)."""
        return self._made[index][0].shape[:2]

    def image_name(self, index: int) -> str:
        """synthetic-000012 is the seed's image number 12."""
        return _name(self.first + index % len(self))


def built_in_splits(seed: int = 0) -> Splits:
    """The main job's data, made on the spot: three disjoint runs of indices of one seed."""
    parts, first = {}, 0
    for part, images in BUILT_IN_IMAGES.items():
        parts[part] = SyntheticDataset(images, seed, first=first)
        first += images
    sizes = ", ".join(f"{part} {images}" for part, images in BUILT_IN_IMAGES.items())
    summary = f"synthetic aluminium profiles of seed {seed}: {first} images, {len(ALUMINIUM_CLASSES)} classes; {sizes}"
    return Splits(**parts, problems=(), summary=(summary,), named_test=True)


def write_voc(
    folder: Path,
    images: int,
    seed: int,
    size: tuple[int, int] = BUILT_IN_SIZE,
    *,
    difficulty: str = "easy",
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Images 0 to images - 1 of a seed as `folder`/JPEGImages/*.jpg and Annotations/*.xml (VOC: 1-based, both ends in).

    The folder appears when it is complete. Raises InputError where it holds something already or cannot be written.
    """
    check_request(seed, size, difficulty)
    if images < 1:
        raise InputError(f"images is {images}; give 1 or more")
    with whole_folder(folder) as unfinished:
        for name in ("JPEGImages", "Annotations"):
            (unfinished / name).mkdir()
        write = partial(_write_one, unfinished, seed, size, difficulty)
        for _ in in_processes(write, range(images), workers, "writing", progress):
            pass


def in_processes(
    function: Callable[[int], Result], indices: range, workers: int | None, label: str, progress: bool
) -> Iterator[Result]:
    """function(i) for each index, in order, computed by `workers` processes (None: one a CPU) under a progress bar."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux: no fork, or none that is safe
        workers = 1
    workers = min(len(os.sched_getaffinity(0)) if workers is None else workers, len(indices) // CHUNK)
    bar = partial(tqdm, total=len(indices), desc=label, unit="image", disable=not progress, leave=False)
    if workers < 2:
        yield from bar(map(function, indices))
        return
    # Forked children start at once and need no importable main module; they never touch torch, whose threads do not
    # survive a fork. Ctrl-C is the parent's to handle.
    context = multiprocessing.get_context("fork")
    executor = ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: threads and fork
            results = executor.map(function, indices, chunksize=CHUNK)
        yield from bar(results)
    finally:
        executor.shutdown(cancel_futures=True)


def _name(index: int) -> str:
    return f"synthetic-{index:06d}"


def _write_one(folder: Path, seed: int, size: tuple[int, int], difficulty: str, index: int) -> None:
    pixels, boxes, labels = synthesize_profile(seed, index, size, difficulty)
    name = _name(index)
    Image.fromarray(pixels).save(folder / "JPEGImages" / f"{name}.jpg", quality=95, subsampling=0)
    objects = "".join(
        f"<object>\n<name>{ALUMINIUM_CLASSES[label - 1]}</name>\n<difficult>0</difficult>\n<bndbox>"
        f"<xmin>{x1 + 1:.0f}</xmin><ymin>{y1 + 1:.0f}</ymin><xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax>"
        "</bndbox>\n</object>\n"
        for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True)
    )
    shape = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    text = f"<annotation>\n<filename>{name}.jpg</filename>\n{shape}\n{objects}</annotation>\n"
    (folder / "Annotations" / f"{name}.xml").write_text(text)
