"""Trains in a run folder, from the beginning or from where an earlier training stopped."""

from __future__ import annotations

from pathlib import Path

import torch

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.splits import Splits
from fasterfpn.engine.config import Config, config_record
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.trainer import Outcome, Trainer
from fasterfpn.errors import InputError
from fasterfpn.files import write_json, write_text
from fasterfpn.models.detector import Detector
from fasterfpn.models.images import network_size


def fit(detector: Detector, splits: Splits, config: Config, folder: Path) -> Outcome:
    """Train in the existing `folder`, resuming a stopped training if it holds one.

    Writes config.json, problems.txt, and the files of `Trainer`. Raises as `Trainer.run` and `Trainer.restore` do.
    """
    check_batch_norm(config, splits.train)
    run = RunFolder(folder)
    trainer = Trainer(detector, splits, config, folder)
    if run.resume.exists():
        trainer.restore()
        print(f"{folder}: continues after step {trainer.budget.done}")
    write_text(run.problems, "".join(f"{problem}\n" for problem in splits.problems))
    write_json(run.config, config_record(config))
    millions = sum(parameter.numel() for parameter in trainer.parameters) / 1e6
    placement, threads = trainer.placement, torch.get_num_threads()
    print(f"{folder}: trains {millions:.1f} M parameters on {placement.device}, {threads} threads, {placement.dtype}")
    outcome = trainer.run()
    write_json(run.config, config_record(trainer.config))
    return outcome


def check_batch_norm(config: Config, images: LabelledImages) -> None:
    """Raise `InputError` if batch norm would normalize a single value per channel.

    This happens when the last batch holds one image whose C5 map (stride 32) is a single cell.
    """
    size = config.training.batch_size
    if config.model.backbone.norm != "batch" or config.model.architecture == "conv4":  # C4 has at least four cells
        return
    shapes = [images.size(index) for index in range(len(images))]
    for portrait in (False, True):  # a batch never mixes the two orientations
        group = [shape for shape in shapes if (shape[0] > shape[1]) == portrait]
        smallest = min((max(network_size(shape, config.model.image)) for shape in group), default=0)
        if len(group) % size == 1 and smallest <= 32:
            raise InputError(
                f"norm batch: {len(group)} images in batches of {size} leave one over, and at {smallest} pixels its "
                "last map is a single cell; choose another batch size, larger images, or norm group"
            )
