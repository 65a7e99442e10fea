"""Synthetic photographs as a data set, and the built-in data of `train`."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fasterfpn.data.splits import Splits
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.processes import in_processes
from fasterfpn.data.synthetic.request import Difficulty, Request

BUILT_IN_SIZES = {"easy": (120, 160), "real": (480, 640)}  # (H, W)
BUILT_IN_IMAGES = {"train": 1000, "val": 100, "test": 300}


class SyntheticProfiles(Dataset):
    """Images `first` to `first + images - 1` of a request, made at construction and kept as JPEG.

    Has what `LabelledImages` asks. The images are the files that `write_images` writes, to the last bit, and equal
    for any number of `workers` (processes; None: one a CPU).
    """

    classes = ALUMINIUM_CLASSES

    def __init__(
        self, images: int, request: Request, *, first: int = 0, workers: int | None = None, progress: bool = True
    ) -> None:
        self.first, self._size = first, request.size
        indices = range(first, first + images)
        self._made = list(in_processes(request.photograph, indices, workers, "synthesizing", progress))

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image float32 (3, H, W) RGB in 0..1 and its target; the tensors are the caller's to change."""
        picture = Image.open(BytesIO(self._made[index][0]))
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div_(255)
        return image, self.targets(index)

    def targets(self, index: int) -> dict[str, Tensor]:
        """The target alone, without decoding the image."""
        _, boxes, labels = self._made[index]
        difficult = torch.zeros(len(labels), dtype=torch.bool)
        return {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels), "difficult": difficult}

    def size(self, index: int) -> tuple[int, int]:
        """(H, W)."""
        return self._size

    def image_name(self, index: int) -> str:
        """synthetic-000012 is the seed's image number 12."""
        return f"synthetic-{self.first + index % len(self):06d}"


def built_in_splits(seed: int = 0, difficulty: Difficulty = "easy") -> Splits:
    """The main job's data, made on the spot: three disjoint runs of indices of one seed."""
    request, parts, first = Request(seed, difficulty, BUILT_IN_SIZES[difficulty]), {}, 0
    for part, images in BUILT_IN_IMAGES.items():
        parts[part] = SyntheticProfiles(images, request, first=first)
        first += images
    sizes = ", ".join(f"{part} {images}" for part, images in BUILT_IN_IMAGES.items())
    summary = (
        f"synthetic aluminium profiles ({difficulty}), seed {seed}: {first} images, "
        f"{len(ALUMINIUM_CLASSES)} classes; {sizes}"
    )
    return Splits(**parts, problems=(), summary=(summary,), named_test=True)
