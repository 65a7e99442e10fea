"""A folder of annotated images as three datasets: training, validation, test.

The validation part chooses the checkpoint and anything else that is tuned; the test part is read once, for the figure
that is reported. Parts that a folder does not name are drawn from its training part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from fasterfpn.data.config import check_fractions
from fasterfpn.data.dataset import DetectionDataset, LabelledImages, Sample
from fasterfpn.data.formats.labelme import ONE_KIND, original_root, read_original
from fasterfpn.data.formats.voc import Annotation, VocImage, boxes_in_image, read_folder
from fasterfpn.data.images import image_size
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.errors import InputError

PART_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
TARGETS = ("boxes", "labels", "difficult")
Parts = dict[str, list[VocImage]]  # "train" and those of "val" and "test" that the folder names


@dataclass(frozen=True)
class Splits:
    """The three parts, and what reading them brought up.

    `problems`: one line for each thing dropped, clipped or doubtful, naming its file; `summary`: lines that state the
    parts and count the problems; `named_test`: whether the folder names its test part, rather than having it drawn.
    """

    train: LabelledImages
    val: LabelledImages
    test: LabelledImages
    problems: tuple[str, ...]
    summary: tuple[str, ...]
    named_test: bool

    def digest(self) -> str:
        """12 hexadecimal digits, equal where the parts hold the same names, sizes and labels in the same order.

        No pixel is read. Of images that are generated, which have no files, only the number counts.
        """
        digest = sha256()
        for part in (self.train, self.val, self.test):
            digest.update(f"{part.classes} {len(part)}\n".encode())
            for sample in getattr(part, "samples", ()):
                digest.update(f"{sample.image.name!r} {sample.size}".encode())
                digest.update(b"".join(getattr(sample, name).numpy().tobytes() for name in TARGETS))
        return digest.hexdigest()[:12]

    def report(self, limit: int = 10) -> str:
        """The first `limit` problems, how many more there are, and the summary: what to print after opening."""
        more = len(self.problems) - limit
        lines = [*self.problems[:limit], f"... and {more} more like these"] if more > 0 else self.problems
        return "\n".join([*lines, *self.summary])


def open_data(
    folder: str | Path,
    *,
    split_seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    classes: Sequence[str] | None = None,
    with_defect_free: bool = False,
) -> Splits:
    """Read the annotations and image headers of a folder, no pixels, and split it.

    Layouts: `JPEGImages/`, `Annotations/` and `ImageSets/Main/{train,val,trainval,test}.txt`; subfolders `train/`,
    `valid/` (or `val/`) and `test/`, each flat, with `JPEGImages/` and `Annotations/`, or in the aluminium data set's
    layout; any other folder, where the XML lies beside its image; the aluminium data set's own (`labelme.py`),
    `with_defect_free` or without.

    A missing validation or test part is drawn from the training part with `split_seed`, the given share of it (rounded,
    at least one image): the images are ranked by the SHA-256 of seed and name. Of the aluminium data set the share is
    taken of each kind of defect (sec. 4.1), and of the images with several: 300 of 3005.

    `classes` None: the names found in the whole folder, sorted; of the aluminium data set the ten in its own order.
    Given, as by a checkpoint: their order is kept.

    Raises InputError for a folder that is missing, empty or too small to split, an unknown class, a list that names
    an image that does not exist, and whatever `read_folder`, `read_annotation` and `image_size` refuse.
    """
    folder = Path(folder)
    check_fractions(validation_fraction, test_fraction)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the images and their XML files")
    root = original_root(folder)
    if root is None:
        parts, everything, problems = _named_parts(folder)
    else:
        everything, problems = read_original(root, with_defect_free), []
        parts = {"train": everything}
    shares = {"test": test_fraction, "val": validation_fraction}
    drawn = {part: share for part, share in shares.items() if part not in parts}
    strata = () if root is None else (lambda item: item.key.rpartition("/")[0],)
    parts = _draw_missing(parts, drawn, split_seed, folder, *strata)
    given = classes is not None
    if root is not None and not given:
        classes = ALUMINIUM_CLASSES
    classes = _classes(everything, classes, folder)
    samples, counts = {}, Counter()
    for item in everything:
        samples[item.image], lines = _sample(item, classes, counts)
        problems += lines
    datasets = {part: DetectionDataset([samples[item.image] for item in parts[part]], classes, part) for part in parts}
    if root is not None and not given:
        _check_every_class(datasets["train"], folder)
    said = {part: f" (drawn with seed {split_seed})" if part in drawn else "" for part in parts}
    sizes = ", ".join(f"{part} {len(datasets[part])}{said[part]}" for part in ("train", "val", "test"))
    summary = f"{folder}: {len(everything)} images, {len(classes)} classes; {sizes}", _count_line(counts)
    return Splits(**datasets, problems=tuple(problems), summary=summary, named_test="test" not in drawn)


def _named_parts(folder: Path) -> tuple[Parts, list[VocImage], list[str]]:
    """The parts that the folder names, all its images, and problems."""
    named = [(PART_FOLDERS.get(path.name.lower()), path) for path in sorted(folder.iterdir()) if path.is_dir()]
    subfolders = {part: path for part, path in named if part}
    if "train" in subfolders and len(subfolders) > 1:
        roots = {part: original_root(path) for part, path in subfolders.items()}
        parts = {part: read_original(roots[part]) if roots[part] else read_folder(subfolders[part]) for part in roots}
        return parts, [item for items in parts.values() for item in items], []

    everything = read_folder(folder)
    lists = {path.stem: path for path in (folder / "ImageSets" / "Main").glob("*.txt")}
    listed = {part: _listed(lists[part], everything) for part in ("train", "trainval", "val", "test") if part in lists}
    parts = {part: listed[part] for part in ("val", "test") if part in listed}
    elsewhere = {item.image for items in parts.values() for item in items}
    rest = [item for item in listed.get("trainval", everything) if item.image not in elsewhere]
    parts["train"] = listed.get("train", rest)
    return parts, everything, _list_problems(parts, everything, folder)


def _listed(path: Path, items: list[VocImage]) -> list[VocImage]:
    """The images that a list names, one a line, with or without folder and extension."""
    by_name = defaultdict(list)
    for item in items:
        for name in {item.image.stem, item.image.name, item.key}:
            by_name[name].append(item)
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); write it as UTF-8 text, one image name a line") from error
    if not names:
        raise InputError(f"{path}: names no image; fill or remove it")
    for name in names:
        if len(by_name[name]) != 1:
            found = "has no image; add the image or remove the line"
            if by_name[name]:
                found = f"is {by_name[name][0].image} or {by_name[name][1].image}; give them different names"
            raise InputError(f"{path}: names {name!r}, which {found}")
    return [by_name[name][0] for name in dict.fromkeys(names)]


def _list_problems(parts: Parts, everything: list[VocImage], folder: Path) -> list[str]:
    """Lines on images that lists name twice or not at all."""
    problems = []
    uses = Counter(item.image for items in parts.values() for item in items)
    unused, shared = len(everything) - len(uses), sum(count > 1 for count in uses.values())
    if unused:
        problems.append(f"{folder}: {unused} images are in no list of ImageSets/Main and stay unused")
    if shared:
        problems.append(f"{folder}: {shared} images are in two lists of ImageSets/Main, which flatters the figures")
    return problems


def _draw_missing(
    parts: Parts, shares: dict[str, float], seed: int, folder: Path, stratum: Callable[[VocImage], str] = lambda _: ""
) -> Parts:
    """The parts with those in `shares` taken out of "train", each `shares[part]` of it and of each of its strata; order
    is kept within a part.

    Ranking by hash rather than shuffling keeps nearly all images in their part when the folder grows.
    """
    pool, strata = parts["train"], defaultdict(list)
    for item in sorted(pool, key=lambda item: sha256(f"{seed}/{item.key}".encode()).digest()):
        strata[stratum(item)].append(item)
    sizes = Counter(map(stratum, pool))
    parts = dict(parts)
    for part, share in shares.items():
        drawn = set()
        for name, count in largest_remainder(sizes, share).items():
            drawn |= {item.image for item in strata[name][:count]}
            del strata[name][:count]
        parts[part] = [item for item in pool if item.image in drawn]
    left = {item.image for items in strata.values() for item in items}
    if not left and any(shares.values()):  # with nothing to draw, a folder may be all test
        raise InputError(
            f"{folder}: no image is left to train on, of {len(pool)}; add images, "
            "or lower validation_fraction and test_fraction"
        )
    parts["train"] = [item for item in pool if item.image in left]
    return parts


def largest_remainder(sizes: dict[str, int], share: float) -> dict[str, int]:
    """How many to draw of each stratum so that the sum is `share` of all, rounded, and at least one if `share` > 0: the
    whole parts of `share` times each size, and one more where the remainders are largest (the first of a tie).

    Of the aluminium data set's 3005 images a tenth is 300, where rounding each stratum gives 301 and cutting off 295.
    """
    total = max(1, round(share * sum(sizes.values()))) if share > 0 else 0
    quotas = {name: share * size for name, size in sizes.items()}
    counts = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: round(counts[name] - quotas[name], 9))  # 34.6 and 8.6 tie
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _check_every_class(train: DetectionDataset, folder: Path) -> None:
    found = {label for sample in train.samples for label in sample.labels.tolist()}
    if missing := [name for label, name in enumerate(train.classes, start=1) if label not in found]:
        raise InputError(
            f"{folder}: the training part of {len(train)} images has no {', '.join(missing)}; add images of it"
        )


def _classes(items: list[VocImage], classes: Sequence[str] | None, folder: Path) -> tuple[str, ...]:
    """The class names, inferred or checked."""
    annotations = [item.annotation for item in items if item.annotation is not None]
    if not annotations and any(folder.rglob("*.json")):
        raise InputError(
            f"{folder}: no VOC annotation (.xml) in it, only JSON, which is read as in the aluminium data set alone; "
            f"give the folder that holds {ONE_KIND}/"
        )
    if classes is None:
        classes = sorted({found.name for annotation in annotations for found in annotation.objects})
        if not classes:
            raise InputError(f"{folder}: no VOC annotation (.xml) in it has an object; nothing to learn from")
    for annotation in annotations:
        for found in annotation.objects:
            if found.name not in classes:
                known = ", ".join(classes)
                raise InputError(f"{annotation.path}: unknown class {found.name!r}; known are {known}")
    return tuple(classes)


def _sample(item: VocImage, classes: tuple[str, ...], counts: Counter) -> tuple[Sample, list[str]]:
    """The image with its usable boxes, and its problems; `counts` is brought up to date."""
    size = image_size(item.image)
    annotation = item.annotation or Annotation(item.image, (), "", None)
    objects, problems, found = boxes_in_image(annotation, size)
    counts.update(found, without_annotation=item.annotation is None, without_objects=not objects)
    sample = Sample(
        image=item.image,
        boxes=torch.tensor([found.box for found in objects], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([classes.index(found.name) + 1 for found in objects], dtype=torch.int64),
        difficult=torch.tensor([found.difficult for found in objects], dtype=torch.bool),
        size=size,
    )
    return sample, problems


def _count_line(counts: Counter) -> str:
    """The second line of the summary."""
    degenerate, outside = counts["degenerate"], counts["outside"]
    return (
        f"{counts['boxes']} boxes: {degenerate + outside} dropped ({degenerate} zero-size or inverted, "
        f"{outside} outside the image), {counts['clipped']} clipped; "
        f"{counts['without_objects']} images without objects ({counts['without_annotation']} without annotation), "
        f"{counts['wrong_size_tags']} with a wrong size tag"
    )
