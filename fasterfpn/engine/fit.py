"""One whole training in a run folder, new or gone on with."""

from __future__ import annotations

from pathlib import Path

import torch

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.splits import Splits
from fasterfpn.engine.config import Config, config_record
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.trainer import Outcome, Trainer
from fasterfpn.errors import InputError
from fasterfpn.files import remove_unfinished, write_json, write_text
from fasterfpn.models.detector import Detector
from fasterfpn.models.images import network_size


def fit(detector: Detector, splits: Splits, config: Config, folder: Path) -> Outcome:
    """Train in `folder`, which exists: config.json, problems.txt, and what `Trainer` writes.

    Where it holds a training that was stopped, go on with that. Raises as `Trainer.run` and `Trainer.restore`.
    """
    check_batch_norm(config, splits.train)
    remove_unfinished(folder)
    run = RunFolder(folder)
    trainer = Trainer(detector, splits, config, folder)
    if run.resume.exists():
        trainer.restore()
        print(f"{folder}: goes on after step {trainer.budget.done}")
    write_text(run.problems, "".join(f"{problem}\n" for problem in splits.problems))
    write_json(run.config, config_record(config))
    millions = sum(parameter.numel() for parameter in trainer.parameters) / 1e6
    place, threads = trainer.placement, torch.get_num_threads()
    print(f"{folder}: {millions:.1f} M parameters to train on {place.device}, {threads} threads, {place.dtype}")
    outcome = trainer.run()
    write_json(run.config, config_record(trainer.config))
    return outcome


def check_batch_norm(config: Config, images: LabelledImages) -> None:
    """Raise `InputError` where batch norm would have one value a channel to average over.

    That is a batch with one image left over whose map C5, of stride 32, is a single cell.
    """
    size = config.training.batch_size
    if config.model.backbone.norm != "batch" or config.model.architecture == "conv4":  # whose C4 has four cells
        return
    shapes = [images.size(index) for index in range(len(images))]
    for portrait in (False, True):  # they are never in one batch
        group = [shape for shape in shapes if (shape[0] > shape[1]) == portrait]
        smallest = min((max(network_size(shape, config.model.image)) for shape in group), default=0)
        if len(group) % size == 1 and smallest <= 32:
            raise InputError(
                f"norm batch: {len(group)} images in batches of {size} leave one over, and at {smallest} pixels it "
                "has a single cell to average over; choose another batch size, larger images, or norm group"
            )
