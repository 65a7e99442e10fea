"""Formats that are recognised only to be named: what to do with a folder that no reader takes."""

from __future__ import annotations

from pathlib import Path

from fasterfpn.data.images import is_image
from fasterfpn.data.tree import Tree

HEAD = 1 << 16  # bytes
CONVERT = "which is not read yet; convert it to VOC XML"


def likely_format(tree: Tree) -> str:
    """A sentence on the format that the label files of a folder look like; empty where nothing is recognised."""
    heads = [_head(path) for path in tree.with_suffix(".json")[:20]]
    if any('"shapes"' in head for head in heads):
        return f"it looks like labelme JSON in a layout of its own, {CONVERT}"
    if any(f'"{key}"' in head for head in heads for key in ("images", "annotations", "categories")):
        return f"it looks like COCO JSON, {CONVERT}"
    stems = {path.stem for path in tree.files if is_image(path)}
    texts = [path for path in tree.with_suffix(".txt") if path.stem in stems][:20]
    if any(_is_yolo(_head(path)) for path in texts):
        return f"it looks like YOLO text files, {CONVERT}"
    return ""


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(HEAD).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _is_yolo(text: str) -> bool:
    """Whether the first line is a class number and coordinates: four, or the corners of a polygon."""
    columns = text.splitlines()[0].split() if text.strip() else []
    try:
        return len(columns) >= 5 and columns[0].isdigit() and all(abs(float(number)) <= 2 for number in columns[1:])
    except ValueError:
        return False
