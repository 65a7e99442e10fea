"""labelme's JSON: one file for each image; a shape is a list of points (x, y) in continuous pixels of the image."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fasterfpn.data.formats.record import Box, LabelledObject, Labels
from fasterfpn.data.formats.text import read_text
from fasterfpn.errors import InputError


def read_labelme(path: Path) -> Labels:
    """The shapes of one file under their own labels; of a polygon, its bounding box.

    `imageData`, the picture once more, is not looked at; newer files lack it or hold null.

    Raises InputError, naming the file, if it is not such JSON or has no shapes, for a label that is no text, for
    points that are not finite numbers, for circles, and for an image size that is not two positive integers.
    """
    text, guessed = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: does not read as JSON ({error}); repair or remove it") from error
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not shapes:
        raise InputError(f"{path}: has no shapes; label the image, or set it apart with those that show no object")
    objects = tuple(_object(shape, path) for shape in shapes)
    remarks = (f"in no known encoding, read as {guessed}",) if guessed else ()
    return Labels(path, objects, _size(content, path), path.stem, remarks)


def write_labelme(path: Path, boxes: Iterable[Sequence[float]], labels: Sequence[str]) -> None:
    """Write one annotation as the aluminium data set has it: boxes (N, 4) in whole pixels."""
    shapes = []
    for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
        corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]  # clockwise from the upper left
        points = [[int(x), int(y)] for x, y in corners]
        shapes.append({"label": label, "line_color": None, "fill_color": None, "points": points})
    content = {
        "flags": {},
        "shapes": shapes,
        "lineColor": [0, 255, 0, 128],
        "fillColor": [255, 0, 0, 128],
        "imagePath": path.stem.replace(",", "  ") + ".jpg",
        "imageData": None,
    }
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _object(shape: object, path: Path) -> LabelledObject:
    """The label and bounding box of one shape."""
    label, points = (shape.get(name) if isinstance(shape, dict) else None for name in ("label", "points"))
    if not isinstance(label, str) or not label.strip():
        raise InputError(f"{path}: unknown label {label!r}; a label is a text")
    if shape.get("shape_type") == "circle":  # its points are the centre and one on the rim
        raise InputError(f"{path}: a {label} is a circle; draw a rectangle or a polygon around it")
    try:
        xs, ys = zip(*map(_point, points), strict=True)
        box: Box = min(xs), min(ys), max(xs), max(ys)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: the points of a {label} are no list of (x, y) ({error}); correct them") from error
    if not all(map(math.isfinite, (*xs, *ys))):
        raise InputError(f"{path}: a point of a {label} is not finite; correct it")
    return LabelledObject(" ".join(label.split()), box, box)


def _point(point: object) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2 or any(isinstance(number, str) for number in point):
        raise ValueError(f"{point!r} is none")
    return float(point[0]), float(point[1])


def _size(content: Mapping[str, object], path: Path) -> tuple[int, int] | None:
    """(H, W) as newer files give it; None where one is missing, as in the aluminium data set."""
    size = tuple(content.get(key) for key in ("imageHeight", "imageWidth"))
    if None in size:
        return None
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise InputError(f"{path}: imageHeight and imageWidth are {size[0]!r} and {size[1]!r}; correct them")
    return size
