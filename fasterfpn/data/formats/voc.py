"""VOC annotation files (Everingham et al. 2010): one XML for each image, boxes 1-based with both ends included.

A box in the file is (xmin, ymin, xmax, ymax) of the first and the last pixel, counted from 1. Its edges in continuous
coordinates are (xmin - 1, ymin - 1, xmax, ymax).
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from fasterfpn.data.formats.names import pair
from fasterfpn.data.formats.record import Box, LabelledObject, Labels, Reading
from fasterfpn.data.formats.text import read_text
from fasterfpn.data.formats.unread import likely_format
from fasterfpn.data.refusals import attempt, counted
from fasterfpn.data.tree import Tree
from fasterfpn.errors import InputError

LOOKS_FOR = "VOC: .xml files, beside the images or in Annotations/"


def recognises(tree: Tree) -> bool:
    """Whether the folder has an XML file."""
    return bool(tree.with_suffix(".xml"))


def read(tree: Tree, whole: Tree, with_defect_free: bool = False) -> Reading:
    """Every image of a folder with its annotation.

    Images come from `JPEGImages/` and annotations from `Annotations/` where the folder has both; else both come from
    anywhere in it. An image without annotation is an image without objects; but where most images have none, and the
    folder looks like one of another format, InputError is raised.
    """
    folders = tree.root / "JPEGImages", tree.root / "Annotations"
    images, annotations = map(tree.below, folders) if all(folder.is_dir() for folder in folders) else (tree, tree)
    files, count = annotations.with_suffix(".xml"), len(images.images)
    if not count:
        raise InputError(f"{images.root}: holds no images (jpg, png, bmp, tif, webp, ...); check the path")
    if 2 * len(files) <= count and (other := likely_format(tree) or likely_format(whole)):
        raise InputError(
            f"{tree.root}: has {counted(len(files), 'XML file')} for {counted(count, 'image')}, and {other}; "
            "or, if the XML files are all the labels, move the others out of the folder"
        )
    labels, refusals = attempt(read_voc, files)
    records, unpaired = pair(images, labels, whole)
    return Reading(records, refusals=(*refusals, *unpaired))


def read_voc(path: Path) -> Labels:
    """Parse one file; entities are not expanded and nothing outside the file is read.

    Raises InputError, naming the file, if it is not well-formed, declares entities, is not a VOC annotation, or has
    an object without name or box or with a coordinate that is not a finite number.
    """
    text, guessed = read_text(path)
    try:
        root = ElementTree.fromstring(text)
    except DefusedXmlException:
        raise InputError(f"{path}: declares XML entities, which are not expanded; remove the declarations") from None
    except (ParseError, ValueError) as error:
        raise InputError(f"{path}: does not parse as XML ({error}); repair or remove it") from error
    if root.tag != "annotation":
        raise InputError(f"{path}: is no VOC annotation, its root is <{root.tag}>; remove it from the folder")
    image_name = (root.findtext("filename") or "").strip().replace("\\", "/").rsplit("/", 1)[-1]
    objects = tuple(_object(element, path) for element in root.findall("object"))
    remarks = [f"in no known encoding, read as {guessed}"] if guessed else []
    if any(element.findtext("name") != item.name for element, item in zip(root.findall("object"), objects)):
        remarks.append("with blanks around or within a class name, which are removed")
    return Labels(path, objects, _size(root), image_name, tuple(remarks))


def edges(written: Box) -> Box:
    """The continuous box of (xmin, ymin, xmax, ymax); without area where the file marks no pixels.

    `xmin == xmax` is a line of one pixel. Equality on both axes is a slip of the mouse, and `xmin > xmax` is an error:
    both give a box without area.
    """
    xmin, ymin, xmax, ymax = written
    if xmin > xmax or ymin > ymax or (xmin == xmax and ymin == ymax):
        return xmin, ymin, xmin, ymin
    return xmin - 1, ymin - 1, xmax, ymax


def _object(element: Element, path: Path) -> LabelledObject:
    name = " ".join((element.findtext("name") or "").split())
    if not name:
        raise InputError(f"{path}: an object has no name; add <name>, or remove the object")
    bounds = element.find("bndbox")
    if bounds is None:
        raise InputError(f"{path}: the object {name!r} has no box; add <bndbox>, or remove the object")
    difficult = (element.findtext("difficult") or "").strip().lower() in ("1", "true")
    xmin, ymin, xmax, ymax = (_number(bounds, tag, path) for tag in ("xmin", "ymin", "xmax", "ymax"))
    written = xmin, ymin, xmax, ymax
    return LabelledObject(name, edges(written), written, difficult)


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
