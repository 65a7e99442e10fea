"""Which image a name means: the name of a label file, the one that it gives, or a line of a list."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from fasterfpn.data.formats.record import Labels, Record
from fasterfpn.data.formats.text import comparable, read_text
from fasterfpn.data.images import is_image, suffix_by_content
from fasterfpn.data.refusals import examples
from fasterfpn.data.tree import Tree
from fasterfpn.errors import InputError

TEXTS = (".xml", ".json", ".txt", ".csv")  # labels and lists, which are no image under another name
SLASH = re.compile(r"[\\/]+")
LAST_COLUMN = re.compile(r"[\s,;]+\S*$")


class ImageNames:
    """The images of a folder by what they may be called: with or without folders and extension, in any case.

    Either slash separates folders, also in file names: some archives from Windows unpack to `train\\a.jpg`.
    """

    def __init__(self, images: Iterable[Path]) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for image in images:
            name = SLASH.split(str(image))[-1]
            for key in {comparable(name), comparable(Path(name).stem)}:
                self._by_name[key].append(image)

    def find(self, name: str) -> list[Path]:
        """The images that fit a name best: one, none, or several that nothing in the name tells apart.

        The images that share the most folders with the name, counted from the right, go first; then those with its
        extension, and those in its letter case.
        """
        *folders, last = SLASH.split(name)
        stem = Path(last).stem

        def fit(image: Path) -> tuple[int, bool, bool]:
            *own, own_last = SLASH.split(str(image))
            same = [comparable(a) == comparable(b) for a, b in zip(reversed(own), reversed(folders))]
            shared = [*same, False].index(False)
            return shared, comparable(last) == comparable(own_last), Path(own_last).stem in (last, stem)

        images = self._by_name.get(comparable(last)) or self._by_name.get(comparable(stem), [])
        best = max(map(fit, images), default=None)
        return [image for image in images if fit(image) == best]


def pair(images: Tree, labels: Sequence[Labels], whole: Tree) -> tuple[list[Record], list[str]]:
    """Every image of a tree with its labels, in the order of paths; and a line for each label file that is not paired.

    The image of a label file has its stem; where there is none, the name or stem that the file gives for its image.
    Not paired are those without image (the line tells where in the `whole` folder a file of its name lies), with
    several to choose from, and those whose image another one describes.
    """
    names, described, missing, refusals = ImageNames(images.images), {}, [], []
    for label in labels:
        matches = names.find(str(label.path)) or names.find(f"{label.path.parent}/{label.image_name}")
        if not matches:
            missing.append(label)
        elif len(matches) > 1:
            refusals.append(
                f"{label.path}: belongs to {matches[0]} or to {matches[1]}; give them different names, or move away "
                "the one that was not labelled"
            )
        elif matches[0] in described:
            other = described[matches[0]].path
            refusals.append(f"{label.path}: {other} describes the same image; remove one of them")
        else:
            described[matches[0]] = label
    elsewhere = ImageNames(path for path in whole.files if missing and path.suffix.lower() not in TEXTS)
    refusals += [_missing(label, images.root, elsewhere) for label in missing]
    keys = {path: path.relative_to(images.root).with_suffix("").as_posix() for path in images.images}
    return [Record(key, path, described.get(path)) for path, key in keys.items()], refusals


def read_list(path: Path, names: ImageNames) -> list[Path]:
    """The images that a list names, one a line, each once. A line is a name, or the first of several columns.

    Raises InputError for a list that names nothing, names that have no image (all of them), and a name of two images.
    """
    lines = [line.strip() for line in read_text(path)[0].splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: names no image; fill or remove it")
    listed, missing = {}, []
    for line in lines:
        name, images = line.strip("\"'"), []
        while name and not (images := names.find(name)):
            column = LAST_COLUMN.search(name)
            name = name[: column.start()] if column else ""
        if len(images) > 1:
            raise InputError(f"{path}: names {line!r}, which is {images[0]} or {images[1]}; give them different names")
        listed |= dict.fromkeys(images)
        missing += [] if images else [line]
    if missing:
        which = examples([repr(line) for line in missing], 20)
        count = "" if len(missing) == 1 else f"{len(missing)} images that are not there, "
        raise InputError(f"{path}: names {count}{which}, which has no image; add the image or remove the line")
    return list(listed)


def _missing(label: Labels, root: Path, files: ImageNames) -> str:
    """Where the image of a label file is, if it is not where it should be."""
    others = files.find(label.path.stem) or files.find(label.image_name)
    for path in sorted(others, key=lambda path: not is_image(path)):
        if is_image(path):
            return f"{label.path}: its image lies elsewhere, at {path}; move one of the two to the other"
        if not path.suffix and (suffix := suffix_by_content(path)):
            return f"{label.path}: its image {path} has no suffix; rename it to {path.name}{suffix}"
        return f"{label.path}: its image {path} is of a kind that is not read; convert it to JPEG or PNG"
    return f"{label.path}: its image is missing, {label.path.stem}.jpg (or png, bmp, tif, webp, ...) in {root}"
