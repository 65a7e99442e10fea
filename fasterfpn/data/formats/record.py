"""What every format becomes: images, and objects with a class name and a box in continuous coordinates.

A box is (x1, y1, x2, y2) in pixels, with the left edge of the first pixel at 0 and the right edge of the last at the
width. H, W: height and width of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabelledObject:
    """One object. `written` holds the numbers of the file, for messages; a box without area means nothing was drawn."""

    name: str
    box: Box
    written: Box
    difficult: bool = False


@dataclass(frozen=True)
class Labels:
    """A parsed label file.

    `size` is the (H, W) that the file gives for its picture, None without; `image_name` the base name that it gives,
    "" without; `remarks` are the kinds of oddity that were met while reading, to be counted over all files.
    """

    path: Path
    objects: tuple[LabelledObject, ...]
    size: tuple[int, int] | None = None
    image_name: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """An image and its labels, None where it has none.

    `key` names the image within its data set: its path in the folder without the extension. Images of one `stratum`
    are drawn in proportion.
    """

    key: str
    image: Path
    labels: Labels | None
    stratum: str = ""

    @property
    def objects(self) -> tuple[LabelledObject, ...]:
        """The objects, none where there are no labels."""
        return self.labels.objects if self.labels else ()


@dataclass(frozen=True)
class Reading:
    """A folder as read. `parts` holds the parts that the folder names ("train", "val", "test"), with their records.

    `classes`: the names in the format's own order, None where the labels decide. `notes` are lines about the folder,
    `problems` about single files. With `refusals`, messages about files that must be mended first, the rest may be
    incomplete.
    """

    records: Sequence[Record]
    classes: tuple[str, ...] | None = None
    parts: dict[str, list[Record]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
