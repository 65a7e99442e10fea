"""Finds copies among image files: equal bytes. The same pixels in another file, as PNG and as JPEG, are not found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from tqdm import tqdm

from fasterfpn.data.formats.record import Record
from fasterfpn.data.refusals import counted, examples
from fasterfpn.errors import InputError


def equal_files(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of two or more files with equal bytes, in the order of `paths`; reads only files of equal size."""
    by_size, by_content = defaultdict(list), defaultdict(list)
    for path in dict.fromkeys(paths):
        by_size[path.stat().st_size].append(path)
    candidates = [path for group in by_size.values() if len(group) > 1 for path in group]
    for path in tqdm(candidates, desc="compare", unit="image", leave=False):
        by_content[sha256(path.read_bytes()).digest()].append(path)
    return [group for group in by_content.values() if len(group) > 1]


def check_copies(
    parts: Mapping[str, Sequence[Record]],
    copies: Sequence[Sequence[Path]],
    folder: Path,
    allowed: bool,
    named: Collection[str],
) -> list[str]:
    """Notes on copies, given the groups of `equal_files`; `named` are the parts that the folder names.

    Unless `allowed`, raises InputError that lists every image that two parts share, as a copy or under the same name:
    testing on training images makes the results too good.
    """
    parts_of = defaultdict(list)
    for part, records in parts.items():
        for record in records:
            parts_of[record.image].append(part)
    grouped = {path for group in copies for path in group}
    listed_twice = [[path] for path, names in parts_of.items() if len(names) > 1 and path not in grouped]
    within, across, shared = [], [], set()
    for group in [*copies, *listed_twice]:
        places = [(path, part) for path in group for part in parts_of[path]]
        line = " = ".join(f"{path.relative_to(folder)} ({part})" for path, part in places)
        if len({part for _, part in places}) > 1:
            across.append(line)
            shared.update(group)
        else:
            within.append(line)
    notes = []
    if within:
        appear = counted(len(within), "image appears", "images appear")
        notes.append(f"{folder}: {appear} more than once within a part: {examples(within)}")
    if across:
        are = counted(len(across), "image is", "images are")
        head = f"{folder}: {are} in two parts, which makes the results too good"
        if not allowed:
            advice = "remove one of each"
            for part in ("val", "test"):
                if part in named and parts[part] and shared.issuperset(record.image for record in parts[part]):
                    advice = f"give the {part} part other images, or remove it, and one is drawn from the training part"
            raise InputError(f"{head}; {advice}, or set allow_copies:" + "".join(f"\n  {line}" for line in across))
        notes.append(f"{head}: {examples(across)}")
    return notes
