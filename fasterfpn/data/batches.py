"""The endless sequence of training batches.

B images a batch; code of a flip: 0 none, 1 horizontal, 2 vertical, 3 both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.transforms import flip
from fasterfpn.errors import InputError


@dataclass(frozen=True)
class Batch:
    """B images float32 (3, H, W) of any sizes, their targets (see `LabelledImages`) and names for messages."""

    images: list[Tensor]
    targets: list[dict[str, Tensor]]
    names: list[str]


def training_batches(
    dataset: LabelledImages,
    batch_size: int,
    generator: torch.Generator,
    workers: int = 0,
    flips: bool = True,
    skip: int = 0,
) -> Iterator[Batch]:
    """Batches without end; in each epoch of `batches_per_epoch` of them every image comes once.

    Landscape and square images share batches, portrait ones have their own, so that padding stays small; the last
    batch of either kind may be smaller. Each visit draws no, a horizontal, a vertical or both flips with probability
    1/4 (paper, section 4.1). One number is drawn from `generator`, at the call, and everything follows from it in
    this process: the sequence is the same for any number of `workers`, bit for bit, and whatever else draws. The first
    `skip` batches are left out, without decoding their images.

    Raises ValueError for a batch size below 1 or no images; InputError, in time, for an image that does not decode.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if len(dataset) == 0:
        raise ValueError("dataset must hold at least one image")
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    visits = _visits(_orientation_groups(dataset), batch_size, torch.Generator().manual_seed(seed), flips)
    loader = DataLoader(
        _Visits(dataset),
        batch_sampler=itertools.islice(visits, skip, None),
        num_workers=workers,
        collate_fn=_collate,
        generator=torch.Generator().manual_seed(seed),  # else it would draw from the global one
    )
    return _raising(loader)


def batches_per_epoch(dataset: LabelledImages, batch_size: int) -> int:
    """How many batches of `training_batches` visit every image once."""
    return sum(-(-len(group) // batch_size) for group in _orientation_groups(dataset))


class _Visits(Dataset):
    """(index, flip code) to (image, target, name), or to the InputError met on the way.

    An exception that crosses from a worker gains the worker's traceback in its message, which is to stay one line.
    """

    def __init__(self, dataset: LabelledImages) -> None:
        self.dataset = dataset

    def __getitem__(self, visit: tuple[int, int]) -> tuple[Tensor, dict[str, Tensor], str] | InputError:
        index, code = visit
        try:
            image, target = self.dataset[index]
        except InputError as error:
            return InputError(str(error))
        image, boxes = flip(image, target["boxes"], horizontal=bool(code & 1), vertical=bool(code & 2))
        return image, {**target, "boxes": boxes}, self.dataset.image_name(index)


def _orientation_groups(dataset: LabelledImages) -> list[Tensor]:
    """Indices of the images at least as wide as high, and of the others."""
    sizes = torch.tensor([dataset.size(index) for index in range(len(dataset))]).reshape(-1, 2)
    portrait = sizes[:, 0] > sizes[:, 1]
    return [torch.nonzero(~portrait)[:, 0], torch.nonzero(portrait)[:, 0]]


def _visits(
    groups: list[Tensor], batch_size: int, generator: torch.Generator, flips: bool
) -> Iterator[list[tuple[int, int]]]:
    """Epoch after epoch: each group in random order, cut into batches; then the batches in random order."""
    while True:
        batches = []
        for group in groups:
            shuffled = group[torch.randperm(len(group), generator=generator)]
            codes = torch.randint(4, (len(group),), generator=generator) * flips
            visits = list(zip(shuffled.tolist(), codes.tolist(), strict=True))
            batches += [visits[start : start + batch_size] for start in range(0, len(visits), batch_size)]
        for index in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[index]


def _collate(visits: list) -> Batch | InputError:
    for visit in visits:
        if isinstance(visit, InputError):
            return visit
    images, targets, names = map(list, zip(*visits, strict=True))
    return Batch(images, targets, names)


def _raising(loader: DataLoader) -> Iterator[Batch]:
    for batch in loader:
        if isinstance(batch, InputError):
            break
        yield batch
    raise batch  # after the loop has let go of its workers: held by the traceback, they would end seconds later
