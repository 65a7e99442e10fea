"""Recognises label formats that have no reader, so that the error message can name them and say what to do."""

from __future__ import annotations

import re
from pathlib import Path

from fasterfpn.data.formats.names import ImageNames
from fasterfpn.data.tree import Tree

HEAD = 1 << 16  # bytes read of a file
LOOKED_AT = 20  # files of a kind, and lines of a table
CONVERT = "a format not supported yet; convert it to VOC XML, one file for each image"
COLUMNS = re.compile(r"\b(xmin|x_min|bbox|EncodedPixels)\b", re.IGNORECASE)  # in the heading of a table of labels
MASKS = re.compile(r"(?i)masks?|segmentation(class|object)?(raw|png)?|ground[ _-]?truth|gt|annotations?|labels?")
MASK_END = re.compile(r"(?i)[ _-](mask|gt|label|seg)$")  # of the name of a mask file


def likely_format(tree: Tree) -> str:
    """A phrase that says what the labels of a folder look like and what to do about it; "" if nothing is recognised."""
    heads = {path: _head(path) for path in tree.with_suffix(".json")[:LOOKED_AT]}
    for path, head in heads.items():
        if '"shapes"' in head:
            return f"labels that look like labelme JSON in an unknown folder layout ({path.name}), {CONVERT}"
    for path, head in heads.items():
        if any(f'"{key}"' in head for key in ("images", "annotations", "categories")):
            return f"labels that look like COCO JSON ({path.name}), {CONVERT}"
    names = {name for path in tree.images for name in (path.name, path.stem)}
    for path in [path for path in tree.with_suffix(".txt") if path.stem in names][:LOOKED_AT]:
        if _is_yolo(_head(path)):
            return f"labels that look like YOLO text files ({path.name}), {CONVERT}"
    others = bool(tree.with_suffix(".xml"))  # if so, a table that lists images may hold no labels
    for path in tree.with_suffix(".csv", ".tsv", *(() if others else (".xlsx", ".xls"))):
        if path.suffix.lower().startswith(".xls") or _is_table(_head(path), set() if others else names):
            return f"labels that look like a table ({path.name}), {CONVERT}"
    masks = [path for path in tree.images if _is_mask(path.relative_to(tree.root))]
    images = ImageNames(set(tree.images) - set(masks))
    for mask in masks:
        if found := images.find(f"{mask.parent}/{MASK_END.sub('', mask.stem)}"):
            shown = f"{mask.relative_to(tree.root)} of {found[0].relative_to(tree.root)}"
            return f"masks of pixels ({shown}), which are not supported; write VOC XML with a box around each region"
    return ""


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(HEAD).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _is_yolo(text: str) -> bool:
    """Whether the first line is a class number and coordinates: four of a box, or the corners of a polygon."""
    columns = text.splitlines()[0].split() if text.strip() else []
    try:
        return len(columns) >= 5 and columns[0].isdigit() and all(abs(float(number)) <= 2 for number in columns[1:])
    except ValueError:
        return False


def _is_table(text: str, names: set[str]) -> bool:
    """Whether the first line names a column of `COLUMNS`, or one of the first lines has a name of `names` in a cell."""
    lines = [re.split(r"[,;\t]", line) for line in text.splitlines()[:LOOKED_AT]]
    cells = [re.split(r"[\\/]", cell.strip(" \"'"))[-1] for line in lines if len(line) > 1 for cell in line]
    return bool(lines and COLUMNS.search(",".join(lines[0]))) or not names.isdisjoint(cells)


def _is_mask(path: Path) -> bool:
    return bool(MASK_END.search(path.stem)) or any(map(MASKS.fullmatch, path.parts[:-1]))
