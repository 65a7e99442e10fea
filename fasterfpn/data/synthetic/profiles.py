"""Synthetic photographs of aluminium profiles that stand in for the paper's data set: as a dataset, and as its folders.

N boxes of an image; H, W its height and width in pixels. An image depends on seed, index, size and deck alone, and is
the JPEG that `write_aluminium` writes, so that files and dataset agree to the last bit.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fasterfpn.data.formats.labelme import write_labelme
from fasterfpn.data.formats.tianchi import CHINESE_NAMES, ONE_KIND, SEVERAL_KINDS
from fasterfpn.data.synthetic.defects import photograph
from fasterfpn.data.synthetic.easy import check_request, in_processes
from fasterfpn.data.synthetic.easy_defects import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.layout import DECKS, lay_out, loosen
from fasterfpn.errors import InputError
from fasterfpn.files import whole_folder

FULL_SIZE = (1920, 2560)  # of the originals
GENERATOR_HASH = sha256(
    b"".join(
        Path(__file__).with_name(f"{part}.py").read_bytes() for part in ("boxes", "layout", "scene", "patch", "defects")
    )
).hexdigest()[:12]  # of all that lays out and draws: a change there shows in every report


def synthesize_aluminium(
    seed: int, index: int, size: tuple[int, int] = FULL_SIZE, label_noise: bool = False, deck: str = "paper"
) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Image number `index` of `seed`: a JPEG of `size` (H, W), boxes float32 (N, 4) at whole pixels, labels int64 (N,).

    A size of other proportions than 4:3 shows the same scene, stretched. `label_noise` makes boxes loose and leaves
    some out, as in the originals; the picture stays. Raises InputError for a negative seed or index, an unknown deck
    and a side under 64 pixels.
    """
    check_aluminium(seed, size, deck)
    if index < 0:
        raise InputError(f"index is {index}; give 0 or more")
    layout = lay_out(seed, index, deck)
    boxes, labels = layout.boxes(size), layout.labels()
    if label_noise:
        boxes, kept = loosen(np.random.default_rng([seed, index, 4]), boxes, size)
        labels = labels[kept]
    return photograph(layout, size), boxes, labels


def check_aluminium(seed: int, size: tuple[int, int], deck: str) -> None:
    """Raise InputError for what cannot be synthesized."""
    check_request(seed, size, "easy")
    if deck not in DECKS:
        raise InputError(f"deck is {deck!r}; give one of {', '.join(DECKS)}")


class AluminiumProfiles(Dataset):
    """Images `first` to `first + images - 1` of a seed, made at construction and kept as JPEG.

    Has what `LabelledImages` asks; equal for any number of `workers` (processes; None: one a CPU). The deck "paper"
    has the data set's frequencies, "balanced" at least 50 boxes of each kind in 500 images.
    """

    classes = ALUMINIUM_CLASSES

    def __init__(
        self,
        images: int,
        seed: int,
        size: tuple[int, int] = FULL_SIZE,
        label_noise: bool = False,
        *,
        first: int = 0,
        deck: str = "paper",
        workers: int | None = None,
        progress: bool = True,
    ) -> None:
        check_aluminium(seed, size, deck)
        self.first, self._size = first, size
        make = partial(synthesize_aluminium, seed, size=size, label_noise=label_noise, deck=deck)
        self._made = list(in_processes(make, range(first, first + images), workers, "synthesizing", progress))

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Image float32 (3, H, W) RGB in 0..1 and its target; the tensors are the caller's to change."""
        jpeg, boxes, labels = self._made[index]
        image = torch.from_numpy(np.array(Image.open(BytesIO(jpeg)))).permute(2, 0, 1).contiguous().float().div_(255)
        difficult = torch.zeros(len(labels), dtype=torch.bool)
        return image, {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels), "difficult": difficult}

    def targets(self, index: int) -> dict[str, Tensor]:
        """The target of the image."""
        return self[index][1]

    def size(self, index: int) -> tuple[int, int]:
        """(H, W)."""
        return self._size

    def image_name(self, index: int) -> str:
        """aluminium-000012 is the seed's image number 12."""
        return f"aluminium-{self.first + index % len(self):06d}"


def write_aluminium(
    folder: Path,
    images: int,
    seed: int,
    size: tuple[int, int] = FULL_SIZE,
    label_noise: bool = False,
    *,
    deck: str = "paper",
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Images 0 to images - 1 of a seed in the originals' layout: a folder a kind, one for several kinds, labelme JSON.

    The folder appears when it is complete. Raises InputError where it holds something already or cannot be written.
    """
    check_aluminium(seed, size, deck)
    if images < 1:
        raise InputError(f"images is {images}; give 1 or more")
    with whole_folder(folder) as unfinished:
        write = partial(_write_one, unfinished, seed, size, label_noise, deck)
        for _ in in_processes(write, range(images), workers, "writing", progress):
            pass


def _write_one(folder: Path, seed: int, size: tuple[int, int], label_noise: bool, deck: str, index: int) -> None:
    jpeg, boxes, labels = synthesize_aluminium(seed, index, size, label_noise, deck)
    names = [ALUMINIUM_CLASSES[label - 1] for label in labels]
    kinds = [CHINESE_NAMES[kind] for kind in ALUMINIUM_CLASSES if kind in names]
    place = folder / ONE_KIND / kinds[0] if len(kinds) == 1 else folder / SEVERAL_KINDS
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{','.join(kinds)}{index:06d}合成样本.jpg"
    path.write_bytes(jpeg)
    write_labelme(path.with_suffix(".json"), boxes, [CHINESE_NAMES[name] for name in names])
