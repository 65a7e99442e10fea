"""The aluminium-profile data set in its own layout, as Tianchi competition 231682 (2018) handed it out: labelme's JSON.

    单瑕疵图片/<kind>/   images with one kind of defect, each with its JSON
    多瑕疵图片/          images with several kinds; the file name joins them by a comma
    无瑕疵图片/          images without defect, without JSON

A shape is a polygon of any number of points (x, y) in continuous pixels of the image; its bounding box counts. x may
equal the width: the edge is exclusive. N boxes of an image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from fasterfpn.data.formats.voc import Annotation, VocImage, VocObject
from fasterfpn.data.images import image_size, is_image
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.errors import InputError

ONE_KIND, SEVERAL_KINDS, NO_DEFECT = "单瑕疵图片", "多瑕疵图片", "无瑕疵图片"
CHINESE_NAMES = dict(
    zip(
        ALUMINIUM_CLASSES,
        ("不导电", "擦花", "角位漏底", "桔皮", "漏底", "喷流", "漆泡", "起坑", "杂色", "脏点"),
        strict=True,
    )
)
SIZE_KEYS = "imageHeight", "imageWidth"  # in newer files
ENGLISH_NAMES = {chinese: english for english, chinese in CHINESE_NAMES.items()}


def original_root(folder: Path) -> Path | None:
    """The folder with the data set's subfolders: `folder` itself or its only subfolder; None for another layout.

    What a Mac leaves beside an unpacked folder (`__MACOSX`, hidden folders) is no subfolder.
    """
    below = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    below = [path for path in below if path.name != "__MACOSX" and not path.name.startswith(".")]
    for root in (folder, *(below if len(below) == 1 else ())):
        if (root / ONE_KIND).is_dir() or (root / SEVERAL_KINDS).is_dir():
            return root
    return None


def read_original(root: Path, with_defect_free: bool = False) -> list[VocImage]:
    """Every image with its annotation, in the order of their keys; `with_defect_free` adds those of 无瑕疵图片, empty.

    An image belongs to the JSON of its own stem: `imagePath` has two blanks where the file name has a comma.

    Raises InputError for an image without JSON, a JSON without image or with two, and what `read_labelme` refuses.
    """
    items = []
    for part in (ONE_KIND, SEVERAL_KINDS):
        files = sorted(path for path in (root / part).rglob("*") if path.is_file() and not path.name.startswith("."))
        images = {path.with_suffix(""): path for path in files if is_image(path)}
        texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".json"}
        for path in files:
            if images.get(path.with_suffix(""), path) != path and is_image(path):
                raise InputError(f"{path}: {images[path.with_suffix('')].name} has the same JSON; remove one of them")
        for stem in sorted(images.keys() | texts.keys()):
            if stem not in texts:
                raise InputError(f"{images[stem]}: has no JSON beside it; add it, or move the image to {NO_DEFECT}")
            if stem not in images:
                raise InputError(f"{texts[stem]}: its image is missing, {stem.name}.jpg beside it")
            annotation = read_labelme(texts[stem], image_size(images[stem]))
            items.append(VocImage(stem.relative_to(root).as_posix(), images[stem], annotation))
    if with_defect_free:
        clean = sorted(path for path in (root / NO_DEFECT).rglob("*") if path.is_file() and is_image(path))
        items += [VocImage(path.relative_to(root).with_suffix("").as_posix(), path, None) for path in clean]
    if not items:
        raise InputError(f"{root}: holds no images in {ONE_KIND} or {SEVERAL_KINDS}; check the path")
    return items


def read_labelme(path: Path, size: tuple[int, int]) -> Annotation:
    """The shapes of one file, whose image is of `size` (H, W), under the paper's English names.

    `imageData`, the picture once more, is not looked at; newer files lack it or hold null.

    Raises InputError, naming the file, if it is not such JSON or has no shapes, for an unknown label, for points that
    are not finite numbers, and where it disagrees with its image: another width or height, or a shape outside it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: does not read as JSON ({error}); repair or remove it") from error
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not shapes:
        raise InputError(f"{path}: has no shapes; label the image, or move it to {NO_DEFECT}")
    height, width = size
    said = tuple(size[i] if content.get(key) is None else content[key] for i, key in enumerate(SIZE_KEYS))
    if said != size:
        raise InputError(
            f"{path}: is for an image of {said[1]!r}x{said[0]!r}, but its image has {width}x{height} pixels"
        )
    objects = []
    for shape in shapes:
        name, (x1, y1, x2, y2) = _shape(shape, path)
        if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            box = f"({x1:g}, {y1:g}, {x2:g}, {y2:g})"
            raise InputError(f"{path}: {box} of {name!r} lies outside its {width}x{height} image; is it the right one?")
        objects.append(VocObject(name, (x1, y1, x2, y2), False))
    return Annotation(path, tuple(objects), path.stem, None, first_pixel=0)


def _shape(shape: object, path: Path) -> tuple[str, tuple[float, float, float, float]]:
    """English name and bounding box."""
    label, points = (shape.get(name) if isinstance(shape, dict) else None for name in ("label", "points"))
    if not isinstance(label, str) or label not in ENGLISH_NAMES:
        raise InputError(f"{path}: unknown label {label!r}; known are {', '.join(ENGLISH_NAMES)}")
    if shape.get("shape_type") == "circle":  # its points are the centre and one of the rim
        raise InputError(f"{path}: a {label} is a circle; draw a rectangle or a polygon around it")
    try:
        xs, ys = zip(*map(_point, points), strict=True)
        box = min(xs), min(ys), max(xs), max(ys)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: the points of a {label} are no list of (x, y) ({error}); correct them") from error
    if not all(map(math.isfinite, (*xs, *ys))):
        raise InputError(f"{path}: a point of a {label} is not finite; correct it")
    return ENGLISH_NAMES[label], box


def _point(point: object) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2 or any(isinstance(number, str) for number in point):
        raise ValueError(f"{point!r} is none")
    return float(point[0]), float(point[1])


def write_labelme(path: Path, boxes: Iterable[Sequence[float]], labels: Sequence[str]) -> None:
    """Write one annotation as the data set has it: boxes (N, 4) in whole pixels, English names."""
    shapes = []
    for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
        corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]  # clockwise from the upper left
        points = [[int(x), int(y)] for x, y in corners]
        shapes.append({"label": CHINESE_NAMES[label], "line_color": None, "fill_color": None, "points": points})
    content = {
        "flags": {},
        "shapes": shapes,
        "lineColor": [0, 255, 0, 128],
        "fillColor": [255, 0, 0, 128],
        "imagePath": path.stem.replace(",", "  ") + ".jpg",
        "imageData": None,
    }
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
