"""The training loop (sec. 4): batches in, checkpoints, losses and validation figures out.

A run folder fills with losses.csv (a line every 50 steps, fig. 10), last.safetensors (every epoch and on Ctrl-C),
model.safetensors (best on validation), validation.csv and resume.safetensors, which whoever asked for the training
removes once its outcome is safe.

A step is one batch of `batch_size` images and one move of the optimiser; steps count from 1 once they are done.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from fasterfpn.data import Splits, training_batches
from fasterfpn.data.batches import Batch, batches_per_epoch
from fasterfpn.engine.checkpoint import BEST, LAST, read_checkpoint, save_checkpoint
from fasterfpn.engine.config import Config, TrainingConfig
from fasterfpn.engine.evaluator import detect_all, summary
from fasterfpn.engine.precision import training_dtype
from fasterfpn.engine.resume import RESUME, Progress, restore_training, save_training
from fasterfpn.engine.schedule import Budget, learning_rate
from fasterfpn.errors import InputError
from fasterfpn.models import Detector

RESUME_SECONDS = 60  # between two writings of resume.safetensors, which is large, unless there are new best weights
LOSSES = ("total_loss", "rpn_cls_loss", "rpn_loc_loss", "roi_cls_loss", "roi_loc_loss")


@dataclass(frozen=True)
class Outcome:
    """How a training ended: steps made, and the best validation mAP (area, IoU 0.5) with its step."""

    steps: int
    seconds: float
    best_step: int
    best_mAP: float


class Trainer:
    """One run over `splits.train`, judged on `splits.val`, written into `folder`.

    After `restore`, it makes the rest of a run that was stopped there: the same steps, bit for bit.
    """

    def __init__(self, detector: Detector, splits: Splits, config: Config, folder: Path) -> None:
        self.detector = detector
        self.config = config
        self.folder = folder
        self.images, self.validation, self.data = splits.train, splits.val, splits.digest()
        settings = config.training
        self.device = next(detector.parameters()).device
        self.dtype = training_dtype(settings.precision, self.device)
        self.parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(detector, settings)
        self.steps_per_epoch = batches_per_epoch(splits.train, settings.batch_size)
        self.budget = Budget(settings, self.steps_per_epoch, settings.validations * len(splits.val))
        self.seconds, self.best_step, self.best_mAP = 0.0, 0, -math.inf
        self.saved = time.monotonic()
        self.log = LossLog(folder / "losses.csv", settings.log_every)

    def run(self) -> Outcome:
        """Train to the end of the budget. On Ctrl-C the last weights are saved before the interrupt goes on."""
        self.detector.train()
        batches = self.remaining_batches()
        with self.log as log, tqdm(desc="train", unit="step", initial=self.budget.done) as bar:
            self.bar = bar
            try:
                while self.budget.total is None or self.budget.done < self.budget.total:
                    batch, number = next(batches), self.budget.done + 1
                    try:
                        losses = self.step(batch)
                        self.count_step()
                        log.add(self.budget.done, self.epoch(), self.rate, losses)
                        self.show(bar, losses, len(batch.images))
                        self.milestones()
                    except FloatingPointError as error:
                        raise self.diverged(number, batch, error) from error
            except KeyboardInterrupt:
                self.save(LAST)
                tqdm.write(f"stopped after {self.budget.done} steps; weights saved in {self.folder / LAST}")
                raise
            self.save(LAST)
            if time.monotonic() - self.saved >= RESUME_SECONDS:
                self.save_progress()  # what comes after the training may be stopped too
            seconds = self.elapsed()
        return Outcome(self.budget.done, seconds, self.best_step, self.best_mAP)

    def remaining_batches(self) -> Iterator[Batch]:
        """The sequence that the seed gives, without those of the steps already done."""
        training, data = self.config.training, self.config.data
        generator = torch.Generator().manual_seed(training.seed)
        return training_batches(
            self.images, training.batch_size, generator, data.workers, data.flip, skip=self.budget.done
        )

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser on one batch; returns its losses.

        Raises `FloatingPointError`, before the weights change, when they or the gradient are not finite.
        """
        settings = self.config.training
        self.rate = learning_rate(settings, self.budget.done, self.budget.total)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        images = [image.to(self.device) for image in batch.images]
        targets = [{name: value.to(self.device) for name, value in target.items()} for target in batch.targets]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            losses = self.detector(images, targets)
        values = {name: losses[name].item() for name in LOSSES}
        for name, value in reversed(values.items()):  # the parts before their sum
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} is {value}")
        self.optimizer.zero_grad(set_to_none=True)
        losses["total_loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm or math.inf)
        if not norm.isfinite():
            raise FloatingPointError(f"the gradient's norm is {norm.item()}")
        self.optimizer.step()
        return values

    def count_step(self) -> None:
        """Count the step; once a budget in minutes knows its number of steps, that takes its place in `config`."""
        known = self.budget.total is not None
        self.budget.tick()
        if self.budget.total is not None and not known:
            steps = self.budget.total
            tqdm.write(f"{self.config.training.minutes:g} minutes make {steps} steps; --steps {steps} repeats this run")
            self.config = replace(self.config, training=replace(self.config.training, steps=steps, minutes=None))

    def save(self, name: str) -> None:
        """Write the checkpoint file `name` of this moment."""
        save_checkpoint(self.folder / name, self.detector, self.config, self.budget.done)

    def diverged(self, step: int, batch: Batch, reason: FloatingPointError) -> InputError:
        """What to tell the user when numbers are no longer finite. The weights of that moment are never saved."""
        last = self.folder / LAST
        kept = f"; the last whole epoch's weights are in {last}" if last.exists() else ""
        images = ", ".join(batch.names)
        return InputError(
            f"step {step}: {reason} (images {images}); training stopped. Look at these images, or try a lower "
            f"--learning-rate{kept}"
        )

    def milestones(self) -> None:
        """After a step: the validation where one is due; the epoch's checkpoint, and what going on would need."""
        done, total = self.budget.done, self.budget.total
        if total is not None:
            count = self.config.training.validations
            if done in {max(1, round(total * number / count)) for number in range(1, count + 1)}:
                self.validate()
        if done % self.steps_per_epoch == 0:
            self.save(LAST)
            if total is not None and time.monotonic() - self.saved >= RESUME_SECONDS:
                self.save_progress()

    def save_progress(self) -> None:
        """Write resume.safetensors of this moment, which is after a whole step."""
        done = Progress(self.budget.done, self.elapsed(), self.best_step, self.best_mAP, tuple(self.log.window))
        save_training(self.folder / RESUME, self.detector, self.optimizer, self.config, self.data, done)
        self.saved = time.monotonic()

    def restore(self) -> None:
        """Back to where resume.safetensors was written; what the two tables hold from later steps is dropped."""
        done = restore_training(self.folder / RESUME, self.detector, self.optimizer, self.config, self.data)
        self.budget.done, self.seconds = done.step, done.seconds
        self.best_step, self.best_mAP = done.best_step, done.best_mAP
        if (self.folder / BEST).exists() and read_checkpoint(self.folder / BEST).step > done.step:
            self.best_step, self.best_mAP = 0, -math.inf  # stopped between the two files: the next validation decides
        self.log.go_on(done.step, done.losses)
        keep_rows(self.folder / "validation.csv", lambda step: step <= done.step)

    def elapsed(self) -> float:
        """Seconds of training so far, those before a stop included."""
        return self.seconds + self.bar.format_dict["elapsed"]

    def validate(self) -> None:
        """mAP on the validation part; its weights are kept where they are the best so far, and what going on needs.

        Without a validation part, the latest weights count as the best.
        """
        if len(self.validation):
            detections, targets = detect_all(
                self.detector, self.validation, self.config.training.batch_size, progress=False
            )
            figure = summary(detections, targets, self.detector.classes)["mAP_area"]
        else:
            figure = math.nan
        path = self.folder / "validation.csv"
        is_new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(["step", "epoch", "mAP_area"])
            writer.writerow([self.budget.done, f"{self.epoch():.3f}", f"{figure:.4f}"])
        if len(self.validation):
            tqdm.write(f"step {self.budget.done}: validation mAP {100 * figure:.1f} % on {len(self.validation)} images")
        if math.isnan(figure) or figure > self.best_mAP:
            self.best_step, self.best_mAP = self.budget.done, figure
            self.save(BEST)
            # Going on from an earlier step may round otherwise, on other threads, and not come by these weights again.
            self.save_progress()

    def epoch(self) -> float:
        """Visits of every image so far."""
        return self.budget.done / self.steps_per_epoch

    def show(self, bar: tqdm, losses: dict[str, float], images: int) -> None:
        """Move the progress bar on; its ETA appears once the number of steps is known."""
        bar.total = self.budget.total
        rate = bar.format_dict["rate"] or 0.0
        shown: dict[str, Any] = {name.removesuffix("_loss"): f"{value:.3f}" for name, value in losses.items()}
        bar.set_postfix(shown | {"img/s": f"{rate * images:.1f}"}, refresh=False)
        bar.update()


def build_optimizer(detector: Detector, config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum (sec. 4.1), or AdamW without decay on biases and norms (Loshchilov and Hutter 2019)."""
    trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if config.optimizer == "sgd":
        return torch.optim.SGD(trained, config.learning_rate, config.momentum, weight_decay=config.weight_decay)
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, config.learning_rate, (config.momentum, 0.999))


class LossLog:
    """losses.csv: a line every `every` steps, each loss the mean since the last line."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.window: list[dict[str, float]] = []
        self.fresh = True

    def go_on(self, step: int, window: Sequence[dict[str, float]]) -> None:
        """Keep the whole lines up to `step`; `window` are the steps since the last of them."""
        keep_rows(self.path, lambda row: row <= step and row % self.every == 0)
        self.window, self.fresh = list(window), not self.path.exists() or self.path.stat().st_size == 0

    def __enter__(self) -> LossLog:
        self.file = self.path.open("w" if self.fresh else "a", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        if self.fresh:
            self.writer.writerow(["step", "epoch", "learning_rate", *LOSSES])
            self.file.flush()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.window:
            self.write()  # what came after the last whole window
        self.file.close()

    def add(self, step: int, epoch: float, rate: float, losses: dict[str, float]) -> None:
        """Take a step's losses; write a line where one is due, at once onto the disk."""
        self.window.append({"step": step, "epoch": epoch, "learning_rate": rate, **losses})
        if step % self.every == 0:
            self.write()

    def write(self) -> None:
        means = [sum(entry[name] for entry in self.window) / len(self.window) for name in LOSSES]
        last = self.window[-1]
        where = [f"{last['step']:.0f}", f"{last['epoch']:.3f}", f"{last['learning_rate']:.6g}"]
        self.writer.writerow([*where, *(f"{mean:.5f}" for mean in means)])
        self.file.flush()
        self.window.clear()


def keep_rows(path: Path, keep: Callable[[int], bool]) -> None:
    """Drop the lines of a table, where there is one, whose step is not to be kept; the heading stays."""
    if path.exists() and path.stat().st_size:
        head, *rows = path.read_text().splitlines()
        kept = [head, *(row for row in rows if keep(int(row.split(",")[0])))]
        path.write_text("\n".join(kept) + "\n")
