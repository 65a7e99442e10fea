"""Annotated images as a torch dataset.

N boxes of an image; H, W its height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor
from torch.utils.data import Dataset, get_worker_info
from tqdm import tqdm

from fasterfpn.data.images import read_image
from fasterfpn.data.refusals import attempt
from fasterfpn.errors import InputError

CACHE_BYTES = 1 << 30
Target = dict[str, Tensor]  # boxes float32 (N, 4), labels int64 (N,) from 1, difficult bool (N,)


class LabelledImages(Protocol):
    """What training and evaluation ask of a source of images, be it files or a generator."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """Image float32 (3, H, W) RGB in 0..1, and its target."""

    def targets(self, index: int) -> Target:
        """The target of the image, without making the image."""

    def size(self, index: int) -> tuple[int, int]:
        """(H, W) of the image, without making it."""

    def image_name(self, index: int) -> str:
        """What to call the image in a message."""


def all_targets(dataset: LabelledImages) -> list[Target]:
    """The targets of all images, in order, without making an image."""
    return [dataset.targets(index) for index in range(len(dataset))]


def check_images(dataset: LabelledImages) -> list[str]:
    """Make every image once, under a progress bar: the message for each one that cannot be decoded.

    A dataset of files keeps what it decodes, within its limit, so that the first epoch finds it there.
    """

    def make(index: int) -> None:
        dataset[index]

    return attempt(make, tqdm(range(len(dataset)), desc="decode", unit="image", leave=False))[1]


@dataclass(frozen=True, eq=False)
class Sample:
    """One image file and what is in it, before any pixel is decoded.

    boxes float32 (N, 4) x1 y1 x2 y2 in pixels of the upright image, inside it; labels int64 (N,), the first class
    is 1; difficult bool (N,); size (H, W) as shown.
    """

    image: Path
    boxes: Tensor
    labels: Tensor
    difficult: Tensor
    size: tuple[int, int]


class DetectionDataset(Dataset):
    """Samples with the names of their classes: `classes[label - 1]`.

    Decoded images are kept as uint8 while their sum stays below `cache_bytes`; later ones are decoded at every visit.
    Worker processes, each with a cache of its own, share that limit.
    """

    def __init__(self, samples: Iterable[Sample], classes: Sequence[str], cache_bytes: int = CACHE_BYTES) -> None:
        self.samples = tuple(samples)
        self.classes = tuple(classes)
        self.cache_bytes = cache_bytes
        self._cache: dict[int, Tensor] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """Image float32 (3, H, W) RGB in 0..1 and its target; the tensors are the caller's to change.

        Raises InputError for an image that does not decode, IndexError beyond the end.
        """
        target = self.targets(index)
        return self._pixels(index % len(self)).float().div_(255), target

    def targets(self, index: int) -> Target:
        """As `LabelledImages`; the tensors are the caller's to change."""
        sample = self.samples[index]
        return {name: getattr(sample, name).clone() for name in ("boxes", "labels", "difficult")}

    def size(self, index: int) -> tuple[int, int]:
        return self.samples[index].size

    def image_name(self, index: int) -> str:
        return self.samples[index].image.name

    def _pixels(self, index: int) -> Tensor:
        """uint8 (3, H, W), from the cache or from the file."""
        if index in self._cache:
            return self._cache[index]
        sample = self.samples[index]
        pixels = read_image(sample.image)
        if tuple(pixels.shape[1:]) != sample.size:
            raise InputError(f"{sample.image}: its size changed since the folder was read; start again")
        worker = get_worker_info()
        if self._cached_bytes + pixels.nbytes <= self.cache_bytes // (worker.num_workers if worker else 1):
            self._cache[index] = pixels
            self._cached_bytes += pixels.nbytes
        return pixels
