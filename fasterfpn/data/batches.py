"""The endless sequence of training batches.

The code of a flip is 0 for none, 1 for horizontal, 2 for vertical, 3 for both.
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
    """Images float32 (3, H, W) of any sizes, with their targets (see `LabelledImages`) and their names for messages."""

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
    """Yield batches without end. An epoch has `batches_per_epoch` batches and visits every image once.

    Portrait images share no batch with landscape or square ones, so that little padding is needed; the last batch of
    either kind may be smaller. With `flips`, each visit leaves the image as it is, or flips it horizontally, vertically
    or both ways, with probability 1/4 each (paper, section 4.1).

    The call draws one number from `generator`, and this number decides the whole sequence. So the batches are the same,
    bit for bit, for any number of `workers`. The first `skip` batches are left out, and their images not decoded.

    Raises ValueError for a batch size below 1 and for a dataset without images. Raises InputError on reaching an image
    that does not decode.
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
    """The number of batches from `training_batches` in which every image comes once."""
    return sum(-(-len(group) // batch_size) for group in _orientation_groups(dataset))


class _Visits(Dataset):
    """Turns (index, code of the flip) into (image, target, name), or into the InputError that reading the image raised.

    The error is returned, not raised: torch would add the worker's traceback to its message, which must stay one line.
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
    """The indices of landscape and square images, and those of portrait ones."""
    sizes = torch.tensor([dataset.size(index) for index in range(len(dataset))]).reshape(-1, 2)
    portrait = sizes[:, 0] > sizes[:, 1]
    return [torch.nonzero(~portrait)[:, 0], torch.nonzero(portrait)[:, 0]]


def _visits(
    groups: list[Tensor], batch_size: int, generator: torch.Generator, flips: bool
) -> Iterator[list[tuple[int, int]]]:
    """Yield batches of visits (index, code of the flip), epoch after epoch.

    In an epoch, each group is shuffled and cut into batches, and then the batches of both groups are shuffled.
    """
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
    raise batch  # outside the loop: inside it, the traceback would keep the loader and its workers alive for seconds
