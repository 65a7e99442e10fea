"""Small annotated folders, made for each test; and the real ones, for those who have them."""

import os
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image


def voc_xml(objects=(), size=None, filename="", extra=""):
    """The text of a VOC annotation; `objects` are (name, (xmin, ymin, xmax, ymax)) or with a third, difficult."""
    size_tag = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    tags = ("xmin", "ymin", "xmax", "ymax")
    body = "".join(
        f"<object><name>{name}</name><difficult>{int(bool(rest and rest[0]))}</difficult><bndbox>"
        + "".join(f"<{tag}>{number}</{tag}>" for tag, number in zip(tags, box, strict=True))
        + "</bndbox></object>"
        for name, box, *rest in objects
    )
    return f"<annotation><filename>{filename}</filename>{size_tag}{extra}{body}</annotation>"


def write_image(path, size=(20, 30), seed=None, **options):
    """A picture of noise, `size` (H, W), of its own for each path and seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = crc32(os.fsencode(path)) if seed is None else seed
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def write_pair(folder, stem, objects=(("dent", (2, 3, 8, 9)),), size=(20, 30)):
    """An image with its XML beside it."""
    write_image(folder / f"{stem}.png", size)
    (folder / f"{stem}.xml").write_text(voc_xml(objects, size, f"{stem}.png"), errors="replace")


def write_voc(folder, stems, lists=None):
    """The layout of VOC; `lists` maps the name of a list to the names in it."""
    for stem in stems:
        write_image(folder / "JPEGImages" / f"{stem}.png")
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"{stem}.xml").write_text(voc_xml([("dent", (2, 3, 8, 9))]))
    for name, listed in (lists or {}).items():
        path = folder / "ImageSets" / "Main" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(listed) + "\n")
    return folder


@pytest.fixture
def make():
    """The builders above, for tests that cannot import a conftest."""

    class Make:
        xml, image, pair, voc = map(staticmethod, (voc_xml, write_image, write_pair, write_voc))

    return Make


@pytest.fixture
def real_data():
    """`real_data(name)`: a folder of real data, which is no part of the project."""

    def find(name):
        root = os.environ.get("FASTERFPN_DATA")
        if not root or not (Path(root) / name).is_dir():
            pytest.skip(f"no {name}: set FASTERFPN_DATA to the folder that holds it")
        return Path(root) / name

    return find
