"""One module a format: each reads a folder of annotated images into neutral records (`record.py`).

A format joins by a module with `LOOKS_FOR`, `recognises` and `read`, and its place in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fasterfpn.data.formats import tianchi, voc
from fasterfpn.data.formats.record import Reading, ReadOptions
from fasterfpn.data.formats.unread import likely_format
from fasterfpn.data.images import is_image
from fasterfpn.data.tree import Tree, by_suffix
from fasterfpn.errors import InputError


class Format(Protocol):
    """What a module of this folder offers."""

    LOOKS_FOR: str
    """What makes a folder one of this format, for the message about a folder that is of none."""

    def recognises(self, tree: Tree) -> bool:
        """Whether a folder is of this format, by its names alone."""

    def read(self, tree: Tree, options: ReadOptions, whole: Tree) -> Reading:
        """The records of a folder; of the `whole` data set it may be one part. Raises InputError."""


FORMATS: tuple[Format, ...] = (tianchi, voc)  # the first that recognises a folder reads it


def format_of(trees: Sequence[Tree], whole: Tree) -> Format:
    """The format of a folder, given as the trees of its parts. Raises InputError where it is of none."""
    folder = whole.root
    if not any(is_image(path) for tree in trees for path in tree.files):
        others = by_suffix([path for tree in trees for path in tree.files], folder)
        raise InputError(f"{folder}: holds no images{others and f', but {others}'}; check the path")
    for candidate in FORMATS:
        if any(map(candidate.recognises, trees)):
            return candidate
    likely = next(filter(None, map(likely_format, (*trees, whole))), "")
    found = f"has {likely}" if likely else "its images have no label files, nothing to learn from"
    looked = "; ".join(candidate.LOOKS_FOR for candidate in FORMATS)
    raise InputError(f"{folder}: {found}. Formats that are read: {looked}")
