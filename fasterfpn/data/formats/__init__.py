"""One module a format: each reads a folder of annotated images into neutral records (`record.py`).

A format joins by its place in `FORMATS` and a module with
  - `LOOKS_FOR`: what makes a folder one of this format, for the message about a folder that is of none;
  - `recognises(tree)`: whether a folder is one, by its names alone;
  - `read(tree, whole, with_defect_free)`: its `Reading`, where `tree` may be one part of the `whole` data set, and the
    last argument asks for images that the format sets apart because they show no defect.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from fasterfpn.data.formats import tianchi, voc
from fasterfpn.data.formats.unread import likely_format
from fasterfpn.data.tree import Tree, by_suffix
from fasterfpn.errors import InputError

FORMATS = (tianchi, voc)  # the first that recognises a folder reads it


def format_of(trees: Sequence[Tree], whole: Tree) -> ModuleType:
    """The format of a folder, given as the trees of its parts. Raises InputError where it is of none."""
    if not any(tree.images for tree in trees):
        others = by_suffix([path for tree in trees for path in tree.files], whole.root)
        raise InputError(f"{whole.root}: holds no images{others and f', but {others}'}; check the path")
    for candidate in FORMATS:
        if any(map(candidate.recognises, trees)):
            return candidate
    likely = next(filter(None, map(likely_format, (*trees, whole))), "")
    found = f"has {likely}" if likely else "its images have no label files, nothing to learn from"
    looked = "; ".join(candidate.LOOKS_FOR for candidate in FORMATS)
    raise InputError(f"{whole.root}: {found}. Formats that are read: {looked}")
