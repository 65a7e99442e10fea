"""The aluminium-profile data set in the layout of Tianchi competition 231682 (2018), with labelme's JSON.

单瑕疵图片/<kind>/   images with one kind of defect, each with its JSON
多瑕疵图片/          images with several kinds; the file name joins them by a comma
无瑕疵图片/          images without defect, without JSON
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fasterfpn.data.formats.labelme import read_labelme
from fasterfpn.data.formats.names import pair
from fasterfpn.data.formats.record import Labels, Reading
from fasterfpn.data.refusals import attempt
from fasterfpn.data.tree import Tree
from fasterfpn.errors import InputError

ONE_KIND, SEVERAL_KINDS, NO_DEFECT = "单瑕疵图片", "多瑕疵图片", "无瑕疵图片"
CHINESE_NAMES = {  # by the paper's English names, in the order of the data set
    "non-conductive": "不导电",
    "scratch": "擦花",
    "corner leak": "角位漏底",
    "orange peel": "桔皮",
    "leakage": "漏底",
    "jet": "喷流",
    "paint bubble": "漆泡",
    "crater": "起坑",
    "parti-color": "杂色",
    "dirty point": "脏点",
}
ENGLISH_NAMES = {chinese: english for english, chinese in CHINESE_NAMES.items()}
LOOKS_FOR = f"the aluminium data set: {ONE_KIND}/ or {SEVERAL_KINDS}/, with labelme's JSON"


def data_set_root(tree: Tree) -> Path | None:
    """The folder with the data set's subfolders: the tree's root or its only subfolder; None for another layout."""
    below = {path.relative_to(tree.root).parts[0] for path in tree.files if path.parent != tree.root}
    for root in (tree.root, *(tree.root / name for name in below if len(below) == 1)):
        if (root / ONE_KIND).is_dir() or (root / SEVERAL_KINDS).is_dir():
            return root
    return None


def recognises(tree: Tree) -> bool:
    """Whether the folder is in this layout."""
    return data_set_root(tree) is not None


def read(tree: Tree, whole: Tree, with_defect_free: bool = False) -> Reading:
    """Every image with its labels, in the order of their keys; those of 无瑕疵图片 follow `with_defect_free`, empty.

    An image belongs to the JSON of its own stem: `imagePath` has two blanks where the file name has a comma. A stratum
    is a folder: an image's kind of defect, or several.

    Images without JSON, JSON without image or with two, and files that `read_labelme` refuses are `refusals`. Raises
    InputError for no images at all.
    """
    root = data_set_root(tree) or tree.root
    labelled = Tree(root, tuple(path for part in (ONE_KIND, SEVERAL_KINDS) for path in tree.below(root / part).files))
    labels, refusals = attempt(_read_english, labelled.with_suffix(".json"))
    records, unpaired = pair(labelled, labels, whole)
    refusals += unpaired
    described = {path.with_suffix("") for path in labelled.with_suffix(".json")}
    for record in records:
        if record.image.with_suffix("") not in described:
            refusals.append(f"{record.image}: has no JSON beside it; add it, or move the image to {NO_DEFECT}")
    records.sort(key=lambda record: record.image.with_suffix(""))
    if with_defect_free:
        clean = tree.below(root / NO_DEFECT)
        records += pair(Tree(root, clean.files), [], whole)[0]
    if not records:
        raise InputError(f"{root}: holds no images in {ONE_KIND} or {SEVERAL_KINDS}; check the path")
    records = [replace(record, stratum=record.key.rpartition("/")[0]) for record in records]
    return Reading(records, tuple(CHINESE_NAMES), refusals=tuple(refusals))


def _read_english(path: Path) -> Labels:
    """One file under the paper's English names. Raises InputError as `read_labelme`, and for an unknown label."""
    labels = read_labelme(path)
    for item in labels.objects:
        if item.name not in ENGLISH_NAMES:
            raise InputError(f"{path}: unknown label {item.name!r}; known are {', '.join(ENGLISH_NAMES)}")
    objects = tuple(replace(item, name=ENGLISH_NAMES[item.name]) for item in labels.objects)
    return replace(labels, objects=objects)
