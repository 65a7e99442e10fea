"""Lists of image names: which image a line means."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fasterfpn.data.formats.record import Record
from fasterfpn.data.formats.text import comparable, read_text
from fasterfpn.data.refusals import examples
from fasterfpn.errors import InputError

LAST_COLUMN = re.compile(r"[\s,;]+\S*$")


class Names:
    """The images of a folder by what a list may call them: with or without folder and extension, in any case."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._by_name: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            for name in {comparable(record.image.name), comparable(record.image.stem)}:
                self._by_name[name].append(record)

    def find(self, line: str) -> list[Record]:
        """The images that fit a line best: one, none, or several that nothing in the line tells apart.

        The line is a name or the first of several columns; either slash separates folders. The images that share
        the most folders with it, counted from the right, go first, then those that agree in letter case.
        """
        text = line.strip().strip("\"'")
        while text:
            parts = [part for part in re.split(r"[\\/]+", text) if part not in ("", ".")]
            name = parts[-1] if parts else ""
            for key in dict.fromkeys((comparable(name), comparable(Path(name).stem))):
                if records := self._by_name.get(key):
                    fits = [(_fit(record.image, parts), record) for record in records]
                    best = max(fit for fit, _ in fits)
                    return [record for fit, record in fits if fit == best]
            text = LAST_COLUMN.sub("", text) if LAST_COLUMN.search(text) else ""
        return []


def read_list(path: Path, names: Names) -> list[Record]:
    """The images that a list names, one a line, each once.

    Raises InputError for a list that names nothing, names that have no image (all of them), and a name of two images.
    """
    lines = [line.strip() for line in read_text(path)[0].splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: names no image; fill or remove it")
    listed: dict[Path, Record] = {}
    missing = []
    for line in lines:
        records = names.find(line)
        if len(records) > 1:
            raise InputError(
                f"{path}: names {line!r}, which is {records[0].image} or {records[1].image}; give them different names"
            )
        if records:
            listed[records[0].image] = records[0]
        else:
            missing.append(line)
    if missing:
        which = examples([repr(line) for line in missing], 20)
        count = "" if len(missing) == 1 else f"{len(missing)} images that are not there, "
        raise InputError(f"{path}: names {count}{which}, which has no image; add the image or remove the line")
    return list(listed.values())


def _fit(image: Path, parts: list[str]) -> tuple[int, bool, bool]:
    """How well an image fits the parts of a line: the folders they share, the same extension, the same letter case."""
    *folders, name = parts
    shared = 0
    for own, wanted in zip(image.parts[-2::-1], reversed(folders)):
        if comparable(own) != comparable(wanted):
            break
        shared += 1
    return shared, comparable(name) == comparable(image.name), image.stem in (name, Path(name).stem)
