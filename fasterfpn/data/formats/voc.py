"""VOC annotation files (Everingham et al. 2010): one XML a picture, boxes 1-based with both ends included.

N objects of a file; a box in the file is (xmin, ymin, xmax, ymax) of the first and last pixel, counted from 1; a box
here is (xmin - 1, ymin - 1, xmax, ymax): its edges in continuous coordinates. H, W the image's height and width.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from fasterfpn.data.images import is_image
from fasterfpn.errors import InputError

Box = tuple[float, float, float, float]
SLIVER = 0.01  # pixels: less than this inside the image is nothing, and float32 may round it to zero width


@dataclass(frozen=True)
class VocObject:
    """One object as the file has it: `box` is (xmin, ymin, xmax, ymax), in VOC 1-based, both ends included."""

    name: str
    box: Box
    difficult: bool


@dataclass(frozen=True)
class Annotation:
    """A parsed file. `image_name` is the base name in its filename tag, "" without; `size` its (H, W), None without;
    `first_pixel` what its boxes call the left edge of the first pixel: 0 in formats that count edges, not pixels."""

    path: Path
    objects: tuple[VocObject, ...]
    image_name: str
    size: tuple[int, int] | None
    first_pixel: int = 1


@dataclass(frozen=True)
class VocImage:
    """An image file and its annotation, None if it has none; `key` is its path in its folder without the extension."""

    key: str
    image: Path
    annotation: Annotation | None


def read_annotation(path: Path) -> Annotation:
    """Parse one file; entities are not expanded and nothing outside the file is read.

    Raises InputError, naming the file, if it is not well-formed, declares entities, is not a VOC annotation, or has
    an object without name or box or with a coordinate that is not a finite number.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except DefusedXmlException:
        raise InputError(f"{path}: declares XML entities, which are not expanded; remove the declarations") from None
    except (ParseError, OSError, ValueError, LookupError) as error:  # the last two: an encoding that is not known
        raise InputError(f"{path}: does not parse as XML ({error}); repair or remove it") from error
    if root.tag != "annotation":
        raise InputError(f"{path}: is no VOC annotation, its root is <{root.tag}>; remove it from the folder")
    image_name = (root.findtext("filename") or "").strip().replace("\\", "/").rsplit("/", 1)[-1]
    objects = tuple(_object(element, path) for element in root.findall("object"))
    return Annotation(path, objects, image_name, _size(root))


def read_folder(folder: Path) -> list[VocImage]:
    """Every image of a folder with its annotation, in the order of their keys.

    Images come from `JPEGImages/` and annotations from `Annotations/` where the folder has both; else both come from
    anywhere in it. The image of an annotation is the one of the same stem at the same place, else the only one of that
    stem, else the one that the filename tag names. An image without annotation is an image without objects.

    Raises InputError for an annotation without image or with several to choose from, for two annotations of one image,
    for an annotation that `read_annotation` refuses, and for a folder without images.
    """
    roots = folder / "JPEGImages", folder / "Annotations"
    image_root, annotation_root = roots if all(root.is_dir() for root in roots) else (folder, folder)
    images = [path for path in _files(image_root) if is_image(path)]
    if not images:
        raise InputError(f"{image_root}: holds no images (jpg, png, bmp, tif); check the path")
    by_key, by_stem, by_name = defaultdict(list), defaultdict(list), defaultdict(list)
    for image in images:
        by_key[_key(image, image_root)].append(image)
        by_stem[image.stem].append(image)
        by_name[image.name].append(image)

    annotations: dict[Path, Annotation] = {}
    for path in _files(annotation_root):
        if path.suffix.lower() != ".xml" or path.name.startswith("."):
            continue
        annotation = read_annotation(path)
        name = annotation.image_name
        found = by_key.get(_key(path, annotation_root)) or by_stem.get(path.stem) or by_name.get(name)
        found = found or by_stem.get(name) or by_stem.get(Path(name).stem) or []
        if not found:
            raise InputError(f"{path}: its image is missing, {path.stem}.jpg (or png, bmp, tif) in {image_root}")
        if len(found) > 1:
            raise InputError(f"{path}: belongs to {found[0]} or to {found[1]}; give them different names")
        if found[0] in annotations:
            raise InputError(f"{path}: {annotations[found[0]].path} describes the same image; remove one of them")
        annotations[found[0]] = annotation
    return [VocImage(_key(image, image_root), image, annotations.get(image)) for image in images]


def boxes_in_image(annotation: Annotation, size: tuple[int, int]) -> tuple[list[VocObject], list[str], Counter]:
    """The objects with boxes in continuous coordinates, inside the image of `size` (H, W); problems; their counts.

    A box of zero size or inverted, judged on the numbers in the file (xmin >= xmax or ymin >= ymax), is dropped, and
    so is one that lies wholly outside; one that crosses the border is clipped. Each gives one line that names the file.
    """
    (height, width), first = size, annotation.first_pixel
    kept, problems, counts = [], [], Counter(boxes=len(annotation.objects))
    if annotation.size not in (None, size):
        xml_height, xml_width = annotation.size
        problems.append(
            f"{annotation.path}: its size tag says {xml_width}x{xml_height}, the image is {width}x{height}; "
            "the boxes are taken in pixels of the image"
        )
        counts["wrong_size_tags"] += 1
    for item in annotation.objects:
        xmin, ymin, xmax, ymax = item.box
        box = max(xmin - first, 0.0), max(ymin - first, 0.0), min(xmax, width), min(ymax, height)
        if xmin >= xmax or ymin >= ymax:
            fate = "degenerate"
        elif box[2] - box[0] < SLIVER or box[3] - box[1] < SLIVER:
            fate = "outside"
        else:
            fate = "kept" if box == (xmin - first, ymin - first, xmax, ymax) else "clipped"
            kept.append(VocObject(item.name, box, item.difficult))
        counts[fate] += 1
        if fate != "kept":
            numbers = ", ".join(f"{number:g}" for number in item.box)
            said = {
                "degenerate": "zero-size or inverted, dropped",
                "outside": f"outside the {width}x{height} image, dropped",
                "clipped": f"crosses the border of the {width}x{height} image, clipped",
            }[fate]
            problems.append(f"{annotation.path}: box ({numbers}) of {item.name!r}: {said}")
    return kept, problems, counts


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _object(element: Element, path: Path) -> VocObject:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise InputError(f"{path}: an object has no name; add <name>, or remove the object")
    bounds = element.find("bndbox")
    if bounds is None:
        raise InputError(f"{path}: the object {name!r} has no box; add <bndbox>, or remove the object")
    difficult = (element.findtext("difficult") or "").strip().lower() in ("1", "true")
    return VocObject(name, tuple(_number(bounds, tag, path) for tag in ("xmin", "ymin", "xmax", "ymax")), difficult)


def _number(bounds: Element, tag: str, path: Path) -> float:
    text = (bounds.findtext(tag) or "").strip()
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: <{tag}> of a box is {text!r}, not a finite number; correct it")
    return number


def _size(root: Element) -> tuple[int, int] | None:
    """(H, W) of the size tag; None where it is absent, not in numbers, or zero as some tools write it."""
    try:
        height, width = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None
