"""`python -m fasterfpn.synthesize`: synthetic photographs of aluminium profiles with their boxes, as a folder."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image

from fasterfpn.cli import run
from fasterfpn.data.synthetic.easy import BUILT_IN_SIZE, write_voc
from fasterfpn.data.synthetic.layout import first_of_each_kind
from fasterfpn.data.synthetic.profiles import FULL_SIZE, check_aluminium, synthesize_aluminium, write_aluminium
from fasterfpn.errors import InputError
from fasterfpn.report.contact_sheet import contact_sheet as draw_contact_sheet


def main(
    images: int = 0,
    out: Path | None = None,
    seed: int = 0,
    size: str | None = None,
    difficulty: Literal["easy", "real"] = "easy",
    workers: int | None = None,
    label_noise: bool = False,
    deck: Literal["paper", "balanced"] = "paper",
    contact_sheet: Path | None = None,
) -> None:
    """Write synthetic aluminium profiles with the paper's ten kinds of defect, or a picture with an example of each.

    Args:
        images: how many.
        out: the folder to make.
        seed: the same seed gives the same images, with any number of workers.
        size: WIDTHxHEIGHT in pixels (default: 320x240 for "easy", the originals' 2560x1920 for "real").
        difficulty: "easy" is the built-in data of train, in the layout of VOC; "real" looks like the paper's data set
            and has its layout, frequencies and box sizes.
        workers: processes (default: one a CPU).
        label_noise: with "real": loose and missing boxes, as in the paper's data set.
        deck: with "real": the paper's frequencies, or all kinds about equally often.
        contact_sheet: a picture to write (.jpg or .png): one image of "real" for each kind, as in the paper's figure 1.
    """
    if contact_sheet is not None:
        _write_contact_sheet(contact_sheet, seed)
        print(f"{contact_sheet}: the ten kinds of defect, seed {seed}")
        if out is None:
            return
    if out is None:
        raise InputError("give --out DIR --images N, or --contact-sheet FILE")
    height, width = _parsed(size) if size else FULL_SIZE if difficulty == "real" else BUILT_IN_SIZE
    if difficulty == "real":
        write_aluminium(out, images, seed, (height, width), label_noise, deck=deck, workers=workers)
    elif label_noise or deck != "paper":
        raise InputError("--label-noise and --deck are for --difficulty real")
    else:
        write_voc(out, images, seed, (height, width), workers=workers)
    print(f"{out}: {images} images of {width}x{height}, seed {seed}")


def _parsed(size: str) -> tuple[int, int]:
    """(H, W)."""
    width_height = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if width_height is None:
        raise InputError(f"--size {size}: give WIDTHxHEIGHT, such as 320x240")
    width, height = map(int, width_height.groups())
    return height, width


def _write_contact_sheet(path: Path, seed: int) -> None:
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise InputError(f"--contact-sheet {path}: give a name that ends in .jpg or .png")
    if not path.parent.is_dir():
        raise InputError(f"--contact-sheet {path}: no such folder; make it, or give another path")
    check_aluminium(seed, FULL_SIZE, "paper")
    examples = []
    for kind, index in first_of_each_kind(seed).items():
        jpeg, boxes, _ = synthesize_aluminium(seed, index, (960, 1280))
        examples.append((Image.open(BytesIO(jpeg)), boxes, kind))
    try:
        draw_contact_sheet(examples).save(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); give another path") from error


if __name__ == "__main__":
    run(main, "python -m fasterfpn.synthesize")
