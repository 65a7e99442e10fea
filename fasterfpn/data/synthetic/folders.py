"""Synthetic photographs as a folder: in the layout of Pascal VOC, or in that of the paper's data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fasterfpn.data.formats.labelme import write_labelme
from fasterfpn.data.formats.tianchi import CHINESE_NAMES, ONE_KIND, SEVERAL_KINDS
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.processes import in_processes
from fasterfpn.data.synthetic.request import Request
from fasterfpn.errors import InputError
from fasterfpn.files import whole_folder


def write_images(
    folder: Path, images: int, request: Request, *, workers: int | None = None, progress: bool = True
) -> None:
    """Images 0 to images - 1 of a request. "easy" is written as VOC: JPEGImages/*.jpg and Annotations/*.xml (1-based,
    both ends in); "real" as the originals: a folder a kind, one for several kinds, and labelme JSON.

    The folder appears when it is complete. Raises `InputError` where it holds something already or cannot be written.
    """
    if images < 1:
        raise InputError(f"images is {images}; give 1 or more")
    with whole_folder(folder) as unfinished:
        write = partial(_write_voc if request.difficulty == "easy" else _write_tianchi, unfinished, request)
        for _ in in_processes(write, range(images), workers, "writing", progress):
            pass


def _write_voc(folder: Path, request: Request, index: int) -> None:
    jpeg, boxes, labels = request.photograph(index)
    pictures, annotations = folder / "JPEGImages", folder / "Annotations"
    for place in (pictures, annotations):
        place.mkdir(exist_ok=True)
    name, (height, width) = f"synthetic-{index:06d}", request.size
    (pictures / f"{name}.jpg").write_bytes(jpeg)
    objects = "".join(
        f"<object>\n<name>{ALUMINIUM_CLASSES[label - 1]}</name>\n<difficult>0</difficult>\n<bndbox>"
        f"<xmin>{x1 + 1:.0f}</xmin><ymin>{y1 + 1:.0f}</ymin><xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax>"
        "</bndbox>\n</object>\n"
        for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True)
    )
    shape = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    text = f"<annotation>\n<filename>{name}.jpg</filename>\n{shape}\n{objects}</annotation>\n"
    (annotations / f"{name}.xml").write_text(text)


def _write_tianchi(folder: Path, request: Request, index: int) -> None:
    jpeg, boxes, labels = request.photograph(index)
    chinese = tuple(CHINESE_NAMES.values())
    names = [chinese[label - 1] for label in labels]
    kinds = [kind for kind in chinese if kind in names]
    place = folder / ONE_KIND / kinds[0] if len(kinds) == 1 else folder / SEVERAL_KINDS
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{','.join(kinds)}{index:06d}合成样本.jpg"
    path.write_bytes(jpeg)
    write_labelme(path.with_suffix(".json"), boxes, names)
