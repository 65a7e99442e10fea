"""`python -m fasterfpn.synthesize`: synthetic photographs of aluminium profiles with their boxes, as a VOC folder."""

from __future__ import annotations

import re
from pathlib import Path

from fasterfpn.cli import run
from fasterfpn.data.synthetic import BUILT_IN_SIZE, write_voc
from fasterfpn.errors import InputError


def main(
    images: int,
    out: Path,
    seed: int = 0,
    size: str = f"{BUILT_IN_SIZE[1]}x{BUILT_IN_SIZE[0]}",
    difficulty: str = "easy",
    workers: int | None = None,
) -> None:
    """Write synthetic aluminium profiles with the ten kinds of defect as JPEGImages/ and Annotations/ (VOC).

    Args:
        images: how many.
        out: the folder to make.
        seed: the same seed gives the same images, with any number of workers.
        size: WIDTHxHEIGHT in pixels.
        difficulty: "easy" is the built-in data of train.
        workers: processes (default: one a CPU).
    """
    width_height = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if width_height is None:
        raise InputError(f"--size {size}: give WIDTHxHEIGHT, such as 320x240")
    width, height = map(int, width_height.groups())
    write_voc(out, images, seed, (height, width), difficulty=difficulty, workers=workers)
    print(f"{out}: {images} images of {width}x{height}, seed {seed}")


if __name__ == "__main__":
    run(main, "python -m fasterfpn.synthesize")
