"""`python -m fasterfpn.synthesize`: synthetic photographs of aluminium profiles with their boxes, as a folder."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Annotated

from PIL import Image

from fasterfpn.cli import check_writable, optional, run, save_picture
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.layout import first_of_each_kind
from fasterfpn.data.synthetic.request import SIZES, Deck, Difficulty, Request
from fasterfpn.errors import InputError
from fasterfpn.report.contact_sheet import contact_sheet as draw_contact_sheet

PICTURES = (".jpg", ".jpeg", ".png")
SHOWN_SIZE = (960, 1280)  # of the contact sheet's images


def main(
    images: Annotated[int | None, optional("N")] = None,
    out: Annotated[Path | None, optional("FOLDER")] = None,
    seed: int = 0,
    size: Annotated[str | None, optional("WIDTHxHEIGHT")] = None,
    difficulty: Difficulty = "easy",
    workers: Annotated[int | None, optional("N")] = None,
    label_noise: bool = False,
    deck: Deck = "paper",
    contact_sheet: Annotated[Path | None, optional("FILE")] = None,
) -> None:
    """Write synthetic aluminium profiles with the paper's ten kinds of defect, or a picture with an example of each.

    Args:
        images: how many.
        out: the folder to make.
        seed: the same seed gives the same images, with any number of workers.
        size: WIDTHxHEIGHT in pixels (default: 160x120 for "easy", the originals' 2560x1920 for "real").
        difficulty: "easy", the built-in data of train, is close-ups of clear defects, in the layout of VOC; "real"
            looks like the paper's data set and has its layout, frequencies and box sizes.
        workers: processes (default: one a CPU).
        label_noise: loose and missing boxes, as in the paper's data set.
        deck: with "real": the paper's frequencies, or all kinds about equally often.
        contact_sheet: a picture to write (.jpg or .png): one image of "real" for each kind, as in the paper's figure 1.
    """
    if contact_sheet is None and out is None:
        raise InputError("give --out DIR --images N, or --contact-sheet FILE")
    if out is None and images is not None:
        raise InputError(f"--images {images}: give --out DIR, the folder to write them to")
    if out is not None and images is None:
        raise InputError(f"--out {out}: give --images N, how many to write")
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: give 1 or more")
    request = Request(seed, difficulty, _parsed(size) if size else SIZES[difficulty], deck, label_noise)
    if contact_sheet is not None:
        _write_contact_sheet(contact_sheet, seed)
        print(f"{contact_sheet}: the ten kinds of defect, seed {seed}")
    if out is not None:
        write_images(out, images, request, workers=workers)
        height, width = request.size
        print(f"{out}: {images} images of {width}x{height}, {difficulty}, seed {seed}")


def _parsed(size: str) -> tuple[int, int]:
    """(H, W)."""
    width_height = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", size)
    if width_height is None:
        raise InputError(f"--size {size}: give WIDTHxHEIGHT, such as 320x240")
    width, height = map(int, width_height.groups())
    return height, width


def _write_contact_sheet(path: Path, seed: int) -> None:
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"--contact-sheet {path}: give a name that ends in .jpg or .png")
    check_writable("--contact-sheet", path)
    request = Request(seed, "real", SHOWN_SIZE)
    examples = []
    for kind, index in first_of_each_kind(seed).items():
        jpeg, boxes, _ = request.photograph(index)
        examples.append((Image.open(BytesIO(jpeg)), boxes, kind))
    save_picture(draw_contact_sheet(examples), path)


if __name__ == "__main__":
    run(main, "python -m fasterfpn.synthesize")
