"""A folder of annotated images as three datasets: training, validation, test.

The validation part selects the checkpoint and everything else that is tuned; the test part is used once, for the final
results. Parts that a folder does not name are drawn from its training part.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from fasterfpn.data.config import DataConfig
from fasterfpn.data.copies import check_copies, equal_files
from fasterfpn.data.dataset import DetectionDataset, LabelledImages, Sample, all_targets
from fasterfpn.data.formats.boxes import FittedBoxes, fit_boxes
from fasterfpn.data.formats.parts import Parts, read_folder
from fasterfpn.data.formats.record import Reading, Record
from fasterfpn.data.images import read_header
from fasterfpn.data.refusals import attempt, counted, refuse
from fasterfpn.errors import InputError


@dataclass(frozen=True)
class Splits:
    """The three parts, and the problems met in reading them.

    `problems` has one line, naming the file, for each item that is dropped, clipped or doubtful. `summary` states
    the sizes of the parts, counts the problems, and lists what was guessed or ignored. `named_test` tells whether the
    folder names its test part; otherwise the test part was drawn.
    """

    train: LabelledImages
    val: LabelledImages
    test: LabelledImages
    problems: tuple[str, ...]
    summary: tuple[str, ...]
    named_test: bool

    def digest(self) -> str:
        """Return 12 hexadecimal digits that identify the names, sizes and targets of the parts, and their order.

        Pixels do not enter it.
        """
        digest = sha256()
        for part in (self.train, self.val, self.test):
            digest.update(f"{part.classes} {len(part)}\n".encode())
            for index, target in enumerate(all_targets(part)):
                digest.update(f"{part.image_name(index)!r} {part.size(index)}".encode())
                for name in ("boxes", "labels", "difficult"):
                    digest.update(target[name].numpy().tobytes())
        return digest.hexdigest()[:12]

    def report(self, limit: int = 10) -> str:
        """Return the text to print after opening: the first `limit` problems, a count of the rest, and the summary."""
        more = len(self.problems) - limit
        lines = [*self.problems[:limit], f"... and {more} more like these"] if more > 0 else self.problems
        return "\n".join([*lines, *self.summary])


def open_data(config: DataConfig, classes: Sequence[str] | None = None) -> Splits:
    """Read the annotations and image headers of the folder `config.data`, and split it into parts; decode no pixels.

    `formats.FORMATS` lists the formats, and `formats.parts.read_folder` describes the parts that a folder may name.
    `classes` gives the class names in the order of their labels, for example a checkpoint's. By default they are the
    names in the whole folder, sorted, or the ten of the aluminium data set in its own order.

    Raises InputError for a folder that is missing, has no known format or is too small to split; if `classes` is None,
    for a training part without objects and for class names that differ only in letter case; for an unknown class; for
    images that two parts share, unless `config.allow_copies`; and as `read_folder`, `fit_boxes` and `read_header` do.
    """
    folder = Path(config.data)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the images and their labels")
    reading = read_folder(folder, config.with_defect_free)
    images = [record.image for record in reading.records]
    read, unreadable = attempt(lambda image: (image, read_header(image)), images)
    headers = dict(read)
    readable = [record for record in reading.records if record.image in headers]
    fits, unfit = attempt(lambda records: fit_boxes(records, headers, folder), [readable])
    refuse([*reading.refusals, *unreadable, *unfit])
    fitted, known = fits[0], _classes(reading, classes, folder)
    copies = equal_files(record.image for records in reading.parts.values() for record in records)
    shares = {"test": config.test_fraction, "val": config.validation_fraction}
    drawn = {part: share for part, share in shares.items() if part not in reading.parts}
    parts = _draw_missing(reading.parts, drawn, config.split_seed, folder, copies)
    shared = check_copies(parts, copies, folder, config.allow_copies, reading.parts)
    samples = {image: _sample(image, fitted, known, headers[image].size) for image in images}
    datasets = {
        part: DetectionDataset([samples[record.image] for record in parts[part]], known)
        for part in shares | {"train": 1}
    }
    absent = [] if classes is not None else _check_objects(datasets, reading.classes, folder)
    origin = {part: f" (drawn with seed {config.split_seed})" if part in drawn else "" for part in parts}
    sizes = ", ".join(f"{part} {len(datasets[part])}{origin[part]}" for part in ("train", "val", "test"))
    return Splits(
        **datasets,
        problems=(*reading.problems, *fitted.problems),
        summary=(
            f"{folder}: {counted(len(images), 'image')}, {counted(len(known), 'class', 'classes')}; {sizes}",
            _count_line(reading.records, fitted),
            *reading.notes,
            *fitted.notes,
            *shared,
            *absent,
        ),
        named_test="test" not in drawn,
    )


def _draw_missing(
    parts: Parts, shares: dict[str, float], seed: int, folder: Path, copies: Sequence[Sequence[Path]] = ()
) -> Parts:
    """Draw each part in `shares` from "train", `shares[part]` of it in all and of each stratum; parts keep their order.

    A share is rounded, but at least one image. The images are ranked by the SHA-256 of seed and name. The aluminium
    data set is stratified by kind of defect, images with several kinds being one stratum (sec. 4.1): 300 of 3005.

    Each group of `copies` stays together, in the part of its first image. Ranking by hash instead of shuffling keeps
    nearly all images in their part when the folder grows.
    """
    pool, strata = parts["train"], defaultdict(list)
    for record in sorted(pool, key=lambda record: _rank(seed, record)):
        strata[record.stratum].append(record.image)
    sizes = Counter(record.stratum for record in pool)
    part_of = {record.image: "train" for record in pool}
    for part, share in shares.items():
        for name, count in largest_remainder(sizes, share).items():
            part_of |= dict.fromkeys(strata[name][:count], part)
            del strata[name][:count]
    different = len(pool)
    for group in copies:
        if members := [image for image in group if image in part_of]:
            part_of |= dict.fromkeys(members, part_of[members[0]])
            different -= len(members) - 1
    if "train" not in part_of.values() and any(shares.values()):  # a folder of test images only is fine
        raise InputError(
            f"{folder}: no image is left to train on, of {len(pool)}; add images, "
            "or lower validation_fraction and test_fraction"
        )
    for part, share in shares.items():
        if share and part not in part_of.values():
            raise InputError(
                f"{folder}: copies of an image stay in one part, and {counted(different, 'different image')} left none "
                f"for the {part} part; add images{', or try another split_seed' if different > 2 else ''}"
            )
    return parts | {part: [record for record in pool if part_of[record.image] == part] for part in ("train", *shares)}


def _rank(seed: int, record: Record) -> bytes:
    return sha256(f"{seed}/{record.key}".encode("utf-8", "surrogateescape")).digest()  # file names may not be UTF-8


def largest_remainder(sizes: dict[str, int], share: float) -> dict[str, int]:
    """Apportion round(share * total), at least 1 if `share` > 0, among strata of the given sizes.

    Each stratum gets floor(share * size), and those with the largest remainders one more (ties: the first). A tenth of
    the aluminium data set's 3005 images is 300; rounding within each stratum would give 301, rounding down 295.
    """
    total = max(1, round(share * sum(sizes.values()))) if share > 0 else 0
    quotas = {name: share * size for name, size in sizes.items()}
    counts = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: round(counts[name] - quotas[name], 9))  # 34.6 and 8.6 tie
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _classes(reading: Reading, classes: Sequence[str] | None, folder: Path) -> tuple[str, ...]:
    """Infer the class names, or check that `classes` covers all objects."""
    first_of: dict[str, Path] = {}  # the first label file of each class
    for record in reading.records:
        for item in record.objects:
            first_of.setdefault(item.name, record.labels.path)
    if classes is None:
        classes = reading.classes or sorted(first_of)
        if not classes:
            files = counted(sum(record.labels is not None for record in reading.records), "label file")
            raise InputError(f"{folder}: no object in its {files}, nothing to learn from; draw boxes and save again")
        alike = defaultdict(list)
        for name in classes:
            seen = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
            alike[seen.casefold()].append(name)
        for group in alike.values():
            if len(group) > 1:
                shown = [repr(name) if unicodedata.is_normalized("NFC", name) else ascii(name) for name in group]
                raise InputError(
                    f"{folder}: the classes {', '.join(shown)} differ in letter case, width or invisible characters "
                    f"alone; write one of them throughout ({shown[1]} is in {first_of[group[1]]})"
                )
    known = ", ".join(classes)
    refuse([f"{first_of[name]}: unknown class {name!r}; known are {known}" for name in first_of if name not in classes])
    return tuple(classes)


def _sample(image: Path, fitted: FittedBoxes, classes: Sequence[str], size: tuple[int, int]) -> Sample:
    objects = fitted.objects[image]
    return Sample(
        image=image,
        boxes=torch.tensor([item.box for item in objects], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([classes.index(item.name) + 1 for item in objects], dtype=torch.int64),
        difficult=torch.tensor([item.difficult for item in objects], dtype=torch.bool),
        size=size,
    )


def _check_objects(datasets: Mapping[str, DetectionDataset], expected: Sequence[str] | None, folder: Path) -> list[str]:
    """Return notes on missing objects. Raises InputError if the training part has none, or lacks an expected class."""
    labels = {
        part: {label for target in all_targets(data) for label in target["labels"].tolist()}
        for part, data in datasets.items()
    }
    train, notes = datasets["train"], []
    missing = [name for label, name in enumerate(train.classes, start=1) if label not in labels["train"]]
    if len(train) and (expected or not labels["train"]) and missing:
        raise InputError(
            f"{folder}: the training part of {counted(len(train), 'image')} has no object of {', '.join(missing)}; "
            "label some in its images, or move images with some into it"
        )
    if len(train) and missing:
        notes.append(f"{folder}: no object of {', '.join(missing)} in the training part: it cannot be learnt")
    for part in ("val", "test"):
        if len(datasets[part]) and not labels[part]:
            notes.append(f"{folder}: no object in the {part} part: its average precision is not defined")
    return notes


def _count_line(records: Sequence[Record], fitted: FittedBoxes) -> str:
    """Return the line of the summary that counts boxes and images without objects."""
    counts = fitted.counts
    degenerate, outside = counts["degenerate"], counts["outside"]
    boxes = counted(counts["boxes"], "box", "boxes")
    empty = counted(sum(not objects for objects in fitted.objects.values()), "image")
    bare = sum(record.labels is None for record in records)
    return (
        f"{boxes}: {degenerate + outside} dropped ({degenerate} zero-size or inverted, "
        f"{outside} outside the image), {counts['clipped']} clipped, {counts['lines']} one pixel wide or high; "
        f"{empty} without objects ({bare} without annotation)"
    )
