"""All files of a folder, so that nothing in it can be lost without being counted."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fasterfpn.data.images import is_image, suffix_by_content
from fasterfpn.data.refusals import examples

SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")  # what operating systems leave behind; hidden files likewise


@dataclass(frozen=True)
class Tree:
    """The files below `root`, sorted by the parts of their paths, and one line for each folder that was not entered.

    Links to files count as files, broken ones too. Links to folders are followed where they lead out of `root`.
    """

    root: Path
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()

    def below(self, folder: Path) -> Tree:
        """The part of the tree below one of its folders."""
        return Tree(folder, tuple(path for path in self.files if folder in path.parents))

    @property
    def images(self) -> tuple[Path, ...]:
        """The files that are images by their names."""
        return tuple(filter(is_image, self.files))

    @property
    def others(self) -> tuple[Path, ...]:
        """The files that are not."""
        return tuple(path for path in self.files if not is_image(path))

    def with_suffix(self, *suffixes: str) -> list[Path]:
        """The files with one of the suffixes (".xml"), in any letter case."""
        return [path for path in self.files if path.suffix.lower() in suffixes]


def walk(root: Path, leave_out: Path | None = None) -> Tree:
    """Every file below `root` except hidden files and `SYSTEM_FILES`, without entering the folder `leave_out` in it."""
    files: list[Path] = []
    problems: list[str] = []
    entered: set[tuple[int, int]] = set()
    top = root.resolve()
    skipped = leave_out.resolve() if leave_out else None

    def enter(folder: Path) -> None:
        try:
            status, paths = folder.stat(), list(folder.iterdir())
        except OSError as error:
            problems.append(f"{folder}: cannot be read ({error.strerror}), so its files are left out")
            return
        if (status.st_dev, status.st_ino) in entered:
            problems.append(f"{folder}: leads to a folder that was read already, left out")
            return
        entered.add((status.st_dev, status.st_ino))
        for path in paths:
            if path.name.startswith(".") or path.name.lower() in SYSTEM_FILES:
                continue
            if not os.path.isdir(path):  # False, and no exception, for loops of links and lost permissions
                files.append(path)
            elif skipped and path.resolve() == skipped:
                continue
            elif path.is_symlink() and top in (target := path.resolve(), *target.parents):
                problems.append(f"{path}: links to a folder that is read under its own name, left out")
            else:
                enter(path)

    enter(root)
    return Tree(root, tuple(sorted(files, key=lambda path: path.parts)), tuple(problems))


def by_suffix(files: Iterable[Path], root: Path) -> str:
    """How many files of each suffix there are, with examples: "2 .heic (a.heic, b/c.heic), 1 .txt (NOTE.txt)".

    Of images without a suffix it says under which one they would be read.
    """
    groups = defaultdict(list)
    for path in files:
        suffix = path.suffix.lower()
        if not suffix:
            missing = suffix_by_content(path)
            suffix = "without a suffix" + (f", to be named {missing}" if missing else "")
        groups[suffix].append(path.relative_to(root))
    return ", ".join(f"{len(paths)} {suffix} ({examples(paths)})" for suffix, paths in sorted(groups.items()))
