"""The parts that a folder names: training, validation and test, by subfolders or by lists.

Whatever looks like a part or a list and is not used is named, and where a test part is named in a way that cannot be
followed, reading stops: drawing another one by lot would put its images into training.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from fasterfpn.data.formats import format_of
from fasterfpn.data.formats.names import ImageNames, read_list
from fasterfpn.data.formats.record import Reading, Record
from fasterfpn.data.images import is_image
from fasterfpn.data.refusals import counted, examples
from fasterfpn.data.tree import Tree, by_suffix, walk
from fasterfpn.errors import InputError

PART_NAME = re.compile(
    r"(?:(?P<trainval>train[ _-]?val(?:id)?)|(?P<train>train(?:ing)?)"
    r"|(?P<val>val(?:id|idation)?)|(?P<test>test(?:ing)?))"
    r"(?:[ _-]*(?:set|list|part|split|image|img|id|data))?s?[ _-]*\d*",
    re.IGNORECASE,
)
# Names that are no part's and yet speak of a test part: my_test, holdout, 测试集.
LIKE_A_TEST = re.compile(r"(?<![a-z])(?:test(?:ing|set)?|hold[ _-]?out|eval(?:uation)?)(?![a-z])|测试", re.IGNORECASE)
LIST_PLACES = ("imagesets/main", "imagesets", ".")
LIST_SUFFIXES = (".txt", ".lst", ".list")
OTHER_LISTS = (".csv", ".tsv", ".json", ".xlsx")
Parts = dict[str, list[Record]]


def part_named(name: str) -> str | None:
    """The part that a name without extension means: "train", "val", "test" or "trainval"; None for other names."""
    match = PART_NAME.fullmatch(name)
    return match.lastgroup if match else None


def read_folder(folder: Path, with_defect_free: bool) -> Reading:
    """All records of a folder, the parts that it names, and notes on what was not used.

    Parts are subfolders (`train/` and `valid/` or `test/`), each of which is read alone; or lists in `ImageSets/Main/`,
    `ImageSets/` or the folder itself; or folders further down (`images/test/`). Without a training part, every image
    of no other part is for training. Where the format's `read` leaves `refusals` (those of all parts), the named parts
    and the notes are missing. Raises InputError as `read` and `read_list`, for several VOC data sets, and for a test
    part that cannot be followed.
    """
    everything = walk(folder)
    tree = _voc_data_set(everything)
    subfolders = _part_folders(tree)
    if "train" in subfolders and len(subfolders) > 1:
        trees = {part: tree.below(path) for part, path in subfolders.items()}
    else:
        trees = {"": tree}
    reader = format_of(list(trees.values()), tree)
    readings = {part: reader.read(branch, tree, with_defect_free) for part, branch in trees.items()}
    records = [record for reading in readings.values() for record in reading.records]
    if refusals := tuple(line for reading in readings.values() for line in reading.refusals):
        return Reading(records, refusals=refusals)
    parts, lists = {part: reading.records for part, reading in readings.items()}, {}
    if "" in parts:
        parts, lists = _named_parts(tree, records)
    used = {path for record in records for path in (record.image, record.labels and record.labels.path)}
    rest = sorted(set(everything.files) - used - set(lists))
    return Reading(
        records,
        next(iter(readings.values())).classes,
        {part: parts[part] for part in ("train", "val", "test") if part in parts},
        notes=(
            *_unused(tree, records, parts, lists),
            *([f"{folder}: files that are not read: {by_suffix(rest, folder)}"] if rest else []),
            *_remarks(records, folder),
        ),
        problems=everything.problems,
    )


def _voc_data_set(tree: Tree) -> Tree:
    """The part of the tree below its only VOC data set (VOCdevkit/VOC2007/), where all that can be used is in there.

    Else the tree itself. Raises InputError for several VOC data sets that are not parts of one.
    """
    above = {folder.parent for path in tree.files for folder in path.parents if folder.name == "JPEGImages"}
    roots = [root for root in sorted(above) if tree.root in root.parents and (root / "Annotations").is_dir()]
    names = [root.relative_to(tree.root) for root in roots]
    if tree.root in above or not roots:
        return tree
    if len(roots) == 1:
        outside = [path for path in tree.files if roots[0] not in path.parents]
        used = any(is_image(path) or path.suffix.lower() == ".xml" for path in outside)
        used |= any(part_named(path.stem) or LIKE_A_TEST.search(path.stem) for path in outside)
        return tree if used else tree.below(roots[0])
    if any(part_named(folder) for name in names for folder in name.parts):
        return tree
    raise InputError(
        f"{tree.root}: holds {len(roots)} VOC data sets, {examples(names)}; give one of them, or join their "
        "JPEGImages/, Annotations/ and ImageSets/Main/"
    )


def _part_folders(tree: Tree) -> dict[str, Path]:
    """The subfolders that are named like parts. Raises InputError for two of the same part."""
    subfolders: dict[str, Path] = {}
    for path in sorted(path for path in tree.root.iterdir() if path.is_dir()):
        if part := part_named(path.name):
            if part in subfolders:
                raise InputError(f"{path}: {subfolders[part].name}/ beside it names the same part; join the two")
            subfolders[part] = path
    both = subfolders.pop("trainval", None)
    return {"train": both, **subfolders} if both else subfolders


def _named_parts(tree: Tree, records: Sequence[Record]) -> tuple[Parts, Collection[Path]]:
    """The parts by lists and, where there is no list of a part, by folders anywhere; and the lists that were read."""
    parts, lists = _listed_parts(tree, records)
    by_folder: Parts = defaultdict(list)
    for record in records:
        folders = record.image.relative_to(tree.root).parts[:-1]
        if part := next(filter(None, map(part_named, folders)), None):
            by_folder[part].append(record)
    if by_folder.keys() - {"train", "trainval"}:
        parts = by_folder | parts
    elsewhere = {record.image for part in ("val", "test") for record in parts.get(part, ())}
    both = parts.pop("trainval", records)
    parts.setdefault("train", [record for record in both if record.image not in elsewhere])
    return parts, lists


def _listed_parts(tree: Tree, records: Sequence[Record]) -> tuple[Parts, Collection[Path]]:
    by_image = {record.image: record for record in records}
    names, parts, lists = ImageNames(by_image), {}, {}
    files = [
        (LIST_PLACES.index(place), path, part)
        for path, part in _part_files(tree, records, LIST_SUFFIXES)
        if (place := path.parent.relative_to(tree.root).as_posix().lower()) in LIST_PLACES
    ]
    for _, path, part in sorted(files):
        listed = [by_image[image] for image in read_list(path, names)]
        if part in parts and {item.image for item in listed} != {item.image for item in parts[part]}:
            other = next(first for first, named in lists.items() if named == part)
            raise InputError(f"{path}: names the {part} part, as {other} does with other images; remove one")
        parts.setdefault(part, listed)
        lists[path] = part
    return parts, lists


def _part_files(tree: Tree, records: Iterable[Record], suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Files that are named like a part, with the part; not the label file of an image of that name."""
    stems = {record.image.stem for record in records}
    for path in tree.with_suffix(*suffixes):
        if (part := part_named(path.stem)) and path.stem not in stems:
            yield path, part


def _unused(tree: Tree, records: Sequence[Record], parts: Parts, lists: Collection[Path]) -> list[str]:
    """Notes on images in no part, and on what looks like a part. Raises InputError for a test part, if it is alone."""
    members = {part: {record.image for record in items} for part, items in parts.items()}
    used, notes = set().union(*members.values()), []
    idle = [record.key for record in records if record.image not in used]
    if idle:
        are = counted(len(idle), "image is", "images are")
        notes.append(f"{tree.root}: {are} in no named part and not used ({examples(idle)})")
    looks = [item for item in _part_files(tree, records, LIST_SUFFIXES + OTHER_LISTS) if item[0] not in lists]
    folders: dict[tuple[Path, str], set[Path]] = defaultdict(set)
    for path in tree.images:
        for folder in path.relative_to(tree.root).parents:
            if part := part_named(folder.name):
                folders[tree.root / folder, part].add(path)
    members["trainval"] = members["train"] | members.get("val", set())
    looks += [found for found, inside in folders.items() if not inside <= members.get(found[1], set())]
    classes = {item.name for record in records for item in record.objects}
    known = {path for path, _ in looks} | set(lists) | {record.labels.path for record in records if record.labels}
    for path in tree.with_suffix("", *LIST_SUFFIXES):  # VOC's lists of one class (dent_test.txt) are no parts
        if LIKE_A_TEST.search(path.stem) and path not in known and path.stem.rpartition("_")[0] not in classes:
            looks.append((path, "test"))
    for path, part in looks:
        if part == "test" and "test" not in parts:
            raise InputError(
                f"{path}: looks like the test part, and is not where or what a test part can be; name the test images "
                f"in {tree.root / 'ImageSets' / 'Main' / 'test.txt'}, one a line, or rename it"
            )
        notes.append(f"{path}: looks like the {part} part and is not used")
    return notes


def _remarks(records: Sequence[Record], folder: Path) -> Iterator[str]:
    """A note for each kind of remark on label files."""
    paths = defaultdict(list)
    for record in records:
        for remark in record.labels.remarks if record.labels else ():
            paths[remark].append(record.labels.path.relative_to(folder))
    for remark, which in paths.items():
        yield f"{folder}: {counted(len(which), 'label file')} {remark} ({examples(which)})"
