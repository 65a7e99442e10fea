"""From the boxes of label files to boxes inside their images: which picture the files mean, then clipping.

A box is (x1, y1, x2, y2) in continuous pixels; H, W height and width of the image as shown. A label file may have been
made for the image before its EXIF orientation was applied, or for a larger or smaller version of it, or give fractions
of width and height, or exchange the two sides in its size alone. That is undone where every file of the set agrees,
and refused where they do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from fasterfpn.data.formats.record import Box, LabelledObject, Labels, Record
from fasterfpn.data.images import Header
from fasterfpn.data.refusals import counted
from fasterfpn.errors import InputError

SLIVER = 0.01  # pixels: less than this inside the image is nothing, and float32 may round it to zero width
FAR = 0.1  # of the image's side: boxes that reach this far beyond it are of another picture
LISTED = 100
EMPTY = "zero-size or inverted"


class Frame(Enum):
    """The picture whose pixels the boxes of a label file count."""

    SHOWN = auto()
    STORED = auto()  # the image before its EXIF orientation is applied
    SWAPPED = auto()  # the image with its sides exchanged, or its size is wrong
    SCALED = auto()  # the image at another size
    FRACTIONS = auto()  # of width and height
    OTHER = auto()


@dataclass(frozen=True)
class FittedBoxes:
    """The usable objects of each image, their boxes inside it; notes on all files, problems of each, and counts."""

    objects: dict[Path, list[LabelledObject]]
    notes: list[str]
    problems: list[str]
    counts: Counter


def fit_boxes(records: Sequence[Record], headers: Mapping[Path, Header], folder: Path) -> FittedBoxes:
    """Boxes in pixels of their images as shown, clipped to them.

    Raises InputError where label files are made for other pictures than their images and not all of them in the same
    way, where most boxes reach far beyond their images, and where most have no area.
    """
    labelled = [record for record in records if record.objects]
    frame, note = _common_frame(labelled, headers, folder)
    fitted = FittedBoxes({record.image: [] for record in records}, [note] if note else [], [], Counter())
    beyond = []
    for record in labelled:
        header = headers[record.image]
        objects = [replace(item, box=_as_shown(item, frame, record.labels, header)) for item in record.objects]
        kept, problems, counts = clip(objects, header.size, record.labels.path)
        fitted.objects[record.image] = kept
        fitted.problems.extend(problems)
        fitted.counts.update(counts)
        beyond += [record.labels.path for item in objects if _reach(item.box, header.size) > FAR]
    boxes, empty = fitted.counts["boxes"], fitted.counts["degenerate"]
    if 2 * len(beyond) > boxes:
        raise InputError(
            f"{folder}: boxes reach far beyond their images ({len(beyond)} of {boxes}, the first in {beyond[0]}); give "
            "the images that were labelled"
        )
    if 2 * empty > boxes:
        first = next(line for line in fitted.problems if EMPTY in line).rpartition(": ")[0]
        raise InputError(
            f"{folder}: boxes are {EMPTY} ({empty} of {boxes}, {first}), as if the numbers were in another order or "
            "meant x, y, width, height; write left, top, right, bottom"
        )
    return fitted


def clip(
    objects: Sequence[LabelledObject], size: tuple[int, int], path: Path
) -> tuple[list[LabelledObject], list[str], Counter]:
    """The objects with boxes inside the image of `size` (H, W); a line for each box that changed; counts of all fates.

    A box without area is dropped, and so is one that lies wholly outside; one that crosses the border is clipped.
    """
    height, width = size
    kept, problems, counts = [], [], Counter(boxes=len(objects))
    for item in objects:
        x1, y1, x2, y2 = item.box
        box = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
        if x1 >= x2 or y1 >= y2:
            fate, told = "degenerate", f"{EMPTY}, dropped"
        elif box[2] - box[0] < SLIVER or box[3] - box[1] < SLIVER:
            fate, told = "outside", f"outside the {width}x{height} image, dropped"
        else:
            fate, told = "kept", ""
            if box != item.box:
                fate, told = "clipped", f"crosses the border of the {width}x{height} image, clipped"
            kept.append(replace(item, box=box))
            counts["lines"] += item.written[0] == item.written[2] or item.written[1] == item.written[3]
        counts[fate] += 1
        if told:
            numbers = ", ".join(f"{number:g}" for number in item.written)
            problems.append(f"{path}: box ({numbers}) of {item.name!r}: {told}")
    return kept, problems, counts


def _common_frame(records: Sequence[Record], headers: Mapping[Path, Header], folder: Path) -> tuple[Frame, str]:
    """The frame of all label files, and what to say about it.

    Where the tool ignored EXIF, files of upright images cannot show it: they agree with either reading.
    """
    frames = {record.image: _frame(record.labels, headers[record.image]) for record in records}
    kinds = set(frames.values())
    if kinds <= {Frame.SHOWN}:
        return Frame.SHOWN, ""
    everywhere = f"in all label files ({len(records)})"
    if kinds == {Frame.FRACTIONS}:
        return Frame.FRACTIONS, f"{folder}: boxes are fractions of width and height {everywhere}: scaled to pixels"
    if kinds == {Frame.SCALED}:
        return Frame.SCALED, f"{folder}: boxes are for the images at another size {everywhere}: scaled with them"
    sizes = {record.image: headers[record.image].size for record in records}
    tilted = [image for image, size in sizes.items() if size != headers[image].stored]
    if kinds <= {Frame.SHOWN, Frame.STORED} and all(frames[image] is Frame.STORED for image in tilted):
        have = counted(len(tilted), "has its sides", "have their sides")
        note = f"label files are for the images before their EXIF orientation is applied ({have} exchanged)"
        return Frame.STORED, f"{folder}: {note}: boxes turned with the images"
    if {frames[image] for image, size in sizes.items() if size != size[::-1]} == {Frame.SWAPPED}:
        boxes = [(item.box, sizes[record.image]) for record in records for item in record.objects]
        if all(_inside(box, size) for box, size in boxes) and any(_reach(box, size[::-1]) > FAR for box, size in boxes):
            return (
                Frame.SHOWN,
                f"{folder}: width and height are exchanged {everywhere}, but the boxes fit the images: boxes kept",
            )
    wrong = [record for record in records if frames[record.image] is not Frame.SHOWN]
    lines = [_disagreement(record, frames[record.image], headers[record.image]) for record in wrong[:LISTED]]
    if len(wrong) > 1:
        head = f"{folder}: {len(wrong)} of {len(records)} label files are not for their images as shown"
        lines.insert(0, f"{head}, the first {LISTED} of them:" if len(wrong) > LISTED else f"{head}:")
    raise InputError("\n  ".join(lines))


def _frame(labels: Labels, header: Header) -> Frame:
    numbers = [number for item in labels.objects for number in item.written]
    # Rounding may lead a little beyond the image. VOC's pixels count from 1, so that 0 speaks for fractions too.
    if all(-0.1 <= number <= 1.1 for number in numbers) and any(number % 1 or number == 0 for number in numbers):
        return Frame.FRACTIONS
    if labels.size in (None, header.size):
        return Frame.SHOWN
    if labels.size == header.stored:
        return Frame.STORED
    if labels.size == header.size[::-1]:
        return Frame.SWAPPED
    (height, width), (labelled_height, labelled_width) = header.size, labels.size
    # Proportions are equal up to the rounding of one side to whole pixels.
    excess = abs(height * labelled_width - width * labelled_height)
    return Frame.SCALED if excess <= max(labelled_height, labelled_width) else Frame.OTHER


def _disagreement(record: Record, frame: Frame, header: Header) -> str:
    if frame is Frame.FRACTIONS:
        return f"{record.labels.path}: its boxes are fractions, those of other files are pixels; use one of the two"
    (height, width), (labelled_height, labelled_width) = header.size, record.labels.size
    return (
        f"{record.labels.path}: is for an image of {labelled_width}x{labelled_height}, but {record.image.name} has "
        f"{width}x{height} pixels; correct it, or remove its size if its boxes fit the image"
    )


def _as_shown(item: LabelledObject, frame: Frame, labels: Labels, header: Header) -> Box:
    """The box in pixels of the image as shown."""
    if frame is Frame.STORED:
        return upright(item.box, header)
    box, (y, x) = item.box, (1, 1)
    if frame is Frame.FRACTIONS:
        box, (y, x) = item.written, header.size
    elif frame is Frame.SCALED:
        y, x = header.size[0] / labels.size[0], header.size[1] / labels.size[1]
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def upright(box: Box, header: Header) -> Box:
    """A box in pixels of the image as stored, in pixels of the image as shown (EXIF orientations 1 to 8)."""
    x1, y1, x2, y2 = box
    height, width = header.size
    if header.orientation >= 5:  # rows become columns
        x1, y1, x2, y2 = y1, x1, y2, x2
    if header.orientation in (2, 3, 6, 7):  # then left becomes right
        x1, x2 = width - x2, width - x1
    if header.orientation in (3, 4, 7, 8):  # and top becomes bottom
        y1, y2 = height - y2, height - y1
    return x1, y1, x2, y2


def _reach(box: Box, size: tuple[int, int]) -> float:
    """How far a box reaches beyond its image, as a share of the image's side."""
    height, width = size
    return max(-box[0] / width, -box[1] / height, box[2] / width - 1, box[3] / height - 1)


def _inside(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box is inside its image, up to a pixel (some tools count from 0)."""
    return min(box[:2]) >= -1 and box[2] <= size[1] + 1 and box[3] <= size[0] + 1
