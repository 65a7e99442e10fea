"""Which label file belongs to which image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fasterfpn.data.formats.record import Labels, Record
from fasterfpn.data.formats.text import comparable
from fasterfpn.data.images import is_image
from fasterfpn.data.refusals import refuse
from fasterfpn.data.tree import Tree
from fasterfpn.errors import InputError


def pair(images: Tree, label_root: Path, labels: Sequence[Labels], whole: Tree) -> list[Record]:
    """Every image of a tree with its labels, in the order of their paths.

    The image of a label file is the first match of: the same stem at the same place; the same stem; the name that the
    file gives for its image; the stem of that name; any of these in other letter case.

    Raises InputError for a tree without images, and one that lists every label file without image (and where in the
    `whole` folder one of its name lies), with several to choose from, or with an image that another file describes.
    """
    files = [path for path in images.files if is_image(path)]
    if not files:
        raise InputError(f"{images.root}: holds no images (jpg, png, bmp, tif, webp, ...); check the path")
    index: dict[tuple[str, str], list[Path]] = defaultdict(list)  # (what is compared, its value) -> images
    for path in files:
        for kind, value in _names(path, images.root):
            index[kind, value].append(path)
            index[f"{kind} in any case", comparable(value)].append(path)
    described: dict[Path, Labels] = {}
    refusals = []
    for label in labels:
        given, stem = label.image_name, label.path.stem
        wanted = [("key", _key(label.path, label_root)), ("stem", stem), ("name", given), ("stem", given)]
        wanted.append(("stem", Path(given).stem))
        wanted += [(f"{kind} in any case", comparable(value)) for kind, value in wanted]
        matches = next((index[query] for query in wanted if query[1] and query in index), [])
        if not matches:
            refusals.append(_missing(label, images.root, whole))
        elif len(matches) > 1:
            refusals.append(f"{label.path}: belongs to {matches[0]} or to {matches[1]}; give them different names")
        elif matches[0] in described:
            other = described[matches[0]].path
            refusals.append(f"{label.path}: {other} describes the same image; remove one of them")
        else:
            described[matches[0]] = label
    refuse(refusals)
    return [Record(_key(path, images.root), path, described.get(path)) for path in files]


def _names(path: Path, root: Path) -> tuple[tuple[str, str], ...]:
    return ("key", _key(path, root)), ("stem", path.stem), ("name", path.name)


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _missing(label: Labels, root: Path, whole: Tree) -> str:
    """Where the image of a label file is, if it is not where it should be."""
    stems = {comparable(name) for name in (label.path.stem, Path(label.image_name).stem) if name}
    others = [path for path in whole.files if comparable(path.stem) in stems and path.suffix != label.path.suffix]
    lying = sorted(others, key=lambda path: not is_image(path))
    if lying and is_image(lying[0]):
        return f"{label.path}: its image lies elsewhere, at {lying[0]}; move one of the two to the other"
    if lying:
        return f"{label.path}: its image {lying[0]} is of a kind that is not read; convert it to JPEG or PNG"
    return f"{label.path}: its image is missing, {label.path.stem}.jpg (or png, bmp, tif, webp, ...) in {root}"
