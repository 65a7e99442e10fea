"""Two detectors that must fail: if either does well, the data or the metric tells more than it should.

shuffled    the demo preset trained as ever, but with the training labels dealt out anew at random
constant    no network: the same boxes for every image, each class at its mean training box, scored by frequency

    python benchmarks/controls.py [--steps 2000]

Prints the mAP (area, IoU 0.5) of both on the built-in test part. Boxes can be learnt from shuffled labels, only classes
cannot: a detector that finds every defect and reports it under all ten classes with equal scores has a precision of one
in ten, and by area (under the envelope of the precisions) a little more.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import torch
import tyro
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.sources import open_source
from fasterfpn.engine.checkpoint import load_detector
from fasterfpn.engine.config import DEMO
from fasterfpn.engine.evaluator import detect_all, summary
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.trainer import Trainer
from fasterfpn.models.detector import build_detector


class Shuffled:
    """A data set whose labels have been dealt out anew, over all its images; sizes and places stay."""

    def __init__(self, dataset: LabelledImages, seed: int = 0) -> None:
        self.dataset, self.classes = dataset, dataset.classes
        labels = [target["labels"] for target in all_targets(dataset)]
        order = torch.randperm(sum(map(len, labels)), generator=torch.Generator().manual_seed(seed))
        self.labels = torch.cat(labels)[order].split([len(label) for label in labels])

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self.dataset[index][0], self.targets(index)

    def targets(self, index: int) -> dict[str, Tensor]:
        return self.dataset.targets(index) | {"labels": self.labels[index]}

    def size(self, index: int) -> tuple[int, int]:
        return self.dataset.size(index)

    def image_name(self, index: int) -> str:
        return self.dataset.image_name(index)


def constant_detections(train: LabelledImages, images: int) -> list[dict[str, Tensor]]:
    """Every class at the mean of its training boxes, best-scored where it is most frequent."""
    targets = all_targets(train)
    boxes, labels = (torch.cat([target[name] for target in targets]) for name in ("boxes", "labels"))
    known = torch.arange(1, len(train.classes) + 1)
    mean = torch.stack([boxes[labels == label].mean(0) for label in known])
    share = torch.stack([(labels == label).float().mean() for label in known])
    return [{"boxes": mean, "labels": known, "scores": share} for _ in range(images)]


def main(steps: int = 2000, seed: int = 0) -> None:
    """Train the shuffled control, judge both.

    Args:
        steps: batches of the demo preset.
        seed: of the shuffle and the training.
    """
    splits = open_source(DEMO.data)
    classes = splits.test.classes
    targets = [splits.test[index][1] for index in range(len(splits.test))]
    constant = summary(constant_detections(splits.train, len(targets)), targets, classes)["mAP_area"]
    print(f"constant: mAP {100 * constant:.1f} %", flush=True)
    config = dataclasses.replace(
        DEMO, training=dataclasses.replace(DEMO.training, steps=steps, seed=seed, validations=1)
    )
    detector = build_detector(config.model, classes, seed)
    shuffled = dataclasses.replace(splits, train=Shuffled(splits.train, seed))
    with tempfile.TemporaryDirectory() as folder:
        Trainer(detector, shuffled, config, Path(folder)).run()
        figures = summary(*detect_all(load_detector(RunFolder(Path(folder)).last), splits.test), classes)
    print(f"shuffled: mAP {100 * figures['mAP_area']:.1f} % after {steps} steps")


if __name__ == "__main__":
    tyro.cli(main)
