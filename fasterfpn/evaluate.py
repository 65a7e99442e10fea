"""`python -m fasterfpn.evaluate RUN`: average precision of a trained detector, by class, on the images that suit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from torch.utils.data import ConcatDataset, Dataset

from fasterfpn import cli
from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.engine.checkpoint import load_detector, read_checkpoint
from fasterfpn.engine.evaluator import detect_all, summary, summary_table, without_nan
from fasterfpn.errors import InputError
from fasterfpn.files import write_json

Split = Literal["train", "val", "test", "all"]


@dataclass(frozen=True)
class Selection:
    """The images to evaluate on, where they come from, which part of it they are, and the report of their reading."""

    dataset: Dataset
    data: str
    split: Split
    report: str


def main(
    run: cli.RunArgument,
    data: Annotated[str | None, cli.optional("FOLDER")] = None,
    split: Annotated[Split | None, cli.optional("train|val|test|all")] = None,
    iou: float = 0.5,
    json_file: Annotated[Path | None, cli.optional("FILE", name="json")] = None,
    device: cli.Device = cli.DEFAULT_DEVICE,
    threads: cli.Threads = None,
) -> None:
    """Print VOC average precision (area and 11-point) by class, with and without difficult boxes.

    Args:
        data: folder of annotated images (default: the data that the run was trained on).
        split: part of the data. Default: test of the run's own data, or where the folder names a test part; else all.
        iou: lowest intersection over union, above 0 up to 1, at which a detection counts as correct.
        json_file: also write the metrics to this file, as JSON.
    """
    if not 0 < iou <= 1:
        raise InputError(f"--iou {iou}: give a number above 0 and at most 1")
    place = cli.checked_device(device, threads)
    if json_file is not None:
        cli.check_writable("--json", json_file)  # before hours of evaluation
    trained_on = read_checkpoint(run).config.data
    detector = load_detector(run, place)
    selection = select_images(trained_on, data, split, detector.classes)
    print(selection.report)
    images = f"{len(selection.dataset)} images" + (f", part {selection.split}" if selection.split != "all" else "")
    print(f"{run} on {selection.data}: {images}", flush=True)
    metrics = summary(*detect_all(detector, selection.dataset), detector.classes, iou)
    print(summary_table(metrics))
    if json_file is not None:
        content = {"run": str(run), "data": selection.data, "split": selection.split, **without_nan(metrics)}
        write_json(json_file, content)


def select_images(trained_on: DataConfig, data: str | None, split: Split | None, classes: Sequence[str]) -> Selection:
    """The images that the command line's `data` and `split` mean, for a run trained on `trained_on` with `classes`.

    A part that a folder does not name is drawn as in training: with the run's seed and shares. Of another folder, which
    the run has not seen, all images serve unless it names its test part. Raises InputError for an empty part, a class
    that the run does not know, and whatever `open_source` refuses.
    """
    own = data is None or same_source(data, trained_on.data)
    source = replace(trained_on, data=trained_on.data if data is None else data, allow_copies=True)  # counted, no more
    if split == "all" or (split is None and not own):
        source = replace(source, validation_fraction=0.0, test_fraction=0.0)  # name parts, draw none
    splits = open_source(source, classes)
    if tuple(splits.test.classes) != tuple(classes):
        found, known = ", ".join(splits.test.classes), ", ".join(classes)
        raise InputError(f"{source.data}: has the classes {found}, the run has {known}; give data of the run's classes")
    if split is None:
        split = "test" if own or splits.named_test else "all"
    parts = [splits.train, splits.val, splits.test] if split == "all" else [getattr(splits, split)]
    dataset = ConcatDataset([part for part in parts if len(part)] or parts[:1])
    if len(dataset) == 0:
        raise InputError(f"{source.data}: its {split} part holds no image; try --split all")
    return Selection(dataset, source.data, split, splits.report())


def same_source(data: str, other: str) -> bool:
    """Whether two values of `DataConfig.data` mean the same images."""
    if "synthetic" in (data, other):
        return data == other
    return Path(data).resolve() == Path(other).resolve()


if __name__ == "__main__":
    cli.run(main, "python -m fasterfpn.evaluate")
