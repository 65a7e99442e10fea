"""Trains a detector in a run folder, or goes on with what was stopped there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from fasterfpn.data.splits import Splits
from fasterfpn.engine.config import Config
from fasterfpn.engine.resume import RESUME
from fasterfpn.engine.trainer import Outcome, Trainer
from fasterfpn.files import write_json
from fasterfpn.models.detector import Detector


def fit(detector: Detector, splits: Splits, config: Config, folder: Path) -> Outcome:
    """Train in `folder`, which exists: config.json, problems.txt, and what `Trainer` writes.

    Where it holds a training that was stopped, go on with that.
    """
    (folder / "problems.txt").write_text("".join(f"{problem}\n" for problem in splits.problems), encoding="utf-8")
    write_json(folder / "config.json", asdict(config))
    trainer = Trainer(detector, splits, config, folder)
    if (folder / RESUME).exists():
        trainer.restore()
        print(f"{folder}: goes on after step {trainer.budget.done}")
    millions = sum(parameter.numel() for parameter in trainer.parameters) / 1e6
    device, threads = next(detector.parameters()).device, torch.get_num_threads()
    print(f"{folder}: {millions:.1f} M parameters to train on {device}, {threads} threads, {trainer.dtype}")
    outcome = trainer.run()
    write_json(folder / "config.json", asdict(trainer.config))
    return outcome
