"""The training loop (sec. 4): batches in, checkpoints, losses and validation metrics out.

B images a batch. A step is one batch and one move of the optimiser; steps count from 1 once they are done.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Generator, nn
from tqdm import tqdm

from fasterfpn.data import Splits, training_batches
from fasterfpn.data.batches import Batch, batches_per_epoch
from fasterfpn.engine.checkpoint import Progress, read_checkpoint, restore_training, save_checkpoint, save_training
from fasterfpn.engine.config import Config
from fasterfpn.engine.evaluator import detect_all, summary
from fasterfpn.engine.optimizer import build_optimizer
from fasterfpn.engine.placement import Placement
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.schedule import Budget, learning_rate, validation_steps
from fasterfpn.engine.stop import StopSignals
from fasterfpn.engine.tables import LOSSES, LossLog
from fasterfpn.errors import InputError
from fasterfpn.models import Detector

RESUME_SECONDS = 60  # between two writings of resume.safetensors, which is large, unless there are new best weights


@dataclass(frozen=True)
class Outcome:
    """How a training ended: steps made, and the best validation mAP (area, IoU 0.5) with its step."""

    steps: int
    seconds: float
    best_step: int
    best_mAP: float


class Trainer:
    """One run over `splits.train`, judged on `splits.val`, written into `folder`, which exists.

    After `restore`, it makes the rest of a run that was stopped there: the same steps, bit for bit, on the same
    hardware with the same number of threads.
    """

    def __init__(self, detector: Detector, splits: Splits, config: Config, folder: Path) -> None:
        settings = config.training
        self.detector, self.config, self.folder = detector, config, RunFolder(folder)
        self.images, self.validation, self.data = splits.train, splits.val, splits.digest()
        self.placement = Placement.on(next(detector.parameters()).device, settings.precision)
        self.parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(detector, settings)
        self.steps_per_epoch = batches_per_epoch(splits.train, settings.batch_size)
        self.budget = Budget(settings, self.steps_per_epoch, settings.validations * len(splits.val))
        self.log = LossLog(self.folder.loss_table, settings.log_every)
        self.seconds, self.best_step, self.best_mAP = 0.0, 0, -math.inf
        self.restored = False

    def run(self) -> Outcome:
        """Train to the end of the budget.

        A first Ctrl-C or SIGTERM stops between two steps, once all that a resume needs has been saved; then
        `KeyboardInterrupt` or `SystemExit` is raised. Raises `InputError` where numbers are no longer finite, and
        `OutputError` where a file of the run cannot be written; the files that were whole before stay whole.
        """
        self.detector.train()
        self.started = time.monotonic()
        with StopSignals() as stop, tqdm(desc="train", unit="step", initial=self.budget.done) as self.bar:
            if not self.restored:
                self.begin()
            batches = self.remaining_batches()
            try:
                while not self.budget.finished:
                    # Load: B images (3, Hi, Wi) in 0..1 of any sizes, flipped at random (sec. 4.1); boxes (Gi, 4).
                    batch, number = next(batches), self.budget.done + 1
                    try:
                        # Forward, losses, backward, clip, move: one step of stochastic gradient descent (sec. 4.1).
                        losses = self.step(batch)
                        self.count_step()
                        # Log: the four losses and their sum, averaged over `log_every` steps (fig. 10).
                        self.log.add(self.budget.done, self.epoch(), self.rate, losses)
                        self.show(losses, len(batch.images))
                        # Validate where it is due, and save.
                        self.milestones()
                        if stop.noted is not None:
                            self.save_stopped()
                            stop.interrupt()
                    except FloatingPointError as error:
                        raise self.diverged(number, batch, error) from error
                self.save(self.folder.last)
                if stop.noted is not None or time.monotonic() - self.saved >= RESUME_SECONDS:
                    self.save_progress()  # what comes after the training may be stopped too
                stop.interrupt()
            except RuntimeError:
                stop.interrupt()  # a process that decodes images was ended by the same signal
                raise
            finally:
                self.log.flush()  # the steps since the last whole row
            return Outcome(self.budget.done, self.elapsed(), self.best_step, self.best_mAP)

    def begin(self) -> None:
        """Write the tables' headings and the state before the first step: from here on the run can be resumed."""
        self.folder.loss_table.start()
        self.folder.validation_table.start()
        self.save_progress()

    def restore(self) -> None:
        """Back to where the resume file was written; what the two tables hold from later steps is dropped.

        Names on standard error what the tables lack, and what differs from where the training was stopped. Raises
        `InputError` for a damaged file or table, and for another configuration or other data.
        """
        done, before = restore_training(self.folder.resume, self.detector, self.optimizer, self.config, self.data)
        self.budget.done, self.seconds = done.step, done.seconds
        self.best_step, self.best_mAP = done.best_step, done.best_mAP
        if self.folder.best.exists() and read_checkpoint(self.folder.best).step > done.step:
            self.best_step, self.best_mAP = 0, -math.inf  # stopped between the two files: the next validation decides
        self.log.continue_after(done.step, done.losses)
        steps = validation_steps(self.config.training, self.budget.total) if self.budget.total else []
        self.folder.validation_table.continue_after(done.step, [step for step in steps if step <= done.step])
        if done.step and (warning := self.placement.warning(before)):
            print(f"WARNING {self.folder.path}: {warning}", file=sys.stderr)
        self.restored, self.saved = True, time.monotonic()

    def remaining_batches(self) -> Iterator[Batch]:
        """The sequence that the seed gives, without those of the steps already done."""
        size, data = self.config.training.batch_size, self.config.data
        generator = Generator().manual_seed(self.config.training.seed)
        return training_batches(self.images, size, generator, data.workers, data.flip, skip=self.budget.done)

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser on one batch; returns its losses.

        Raises `FloatingPointError`, before the weights change, when they or the gradient are not finite.
        """
        settings = self.config.training
        # Schedule: warm-up, then constant (sec. 4.1) or half a cosine; the same rate for every weight.
        self.rate = learning_rate(settings, self.budget.done, self.budget.total)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        device = self.placement.device
        images = [image.to(device) for image in batch.images]
        targets = [{name: value.to(device) for name, value in target.items()} for target in batch.targets]
        # Forward: pyramid, proposals, sampled anchors and proposals; the losses are scalars (eq. 3).
        with self.placement.autocast():
            losses = self.detector(images, targets)
        values = {name: losses[name].item() for name in LOSSES}
        for name, value in reversed(values.items()):  # the parts before their sum
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} is {value}")
        # Backward: RPN and box head are trained jointly, on the plain sum of their losses.
        self.optimizer.zero_grad(set_to_none=True)
        losses["total_loss"].backward()
        # Clip: all gradients together as one vector; a norm without limit only measures it.
        norm = nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm or math.inf)
        if not norm.isfinite():
            raise FloatingPointError(f"the gradient's norm is {norm.item()}")
        # Move the weights.
        self.optimizer.step()
        return values

    def count_step(self) -> None:
        """Count the step; once a budget in minutes knows its number of steps, that takes its place in `config`."""
        known = self.budget.total is not None
        self.budget.tick()
        if not known and (steps := self.budget.total) is not None:
            tqdm.write(f"{self.config.training.minutes:g} minutes make {steps} steps; a run of that many repeats it")
            self.config = replace(self.config, training=replace(self.config.training, steps=steps, minutes=None))

    def milestones(self) -> None:
        """After a step, validate where that is due, and save the epoch's checkpoint and what a resume needs."""
        done, total = self.budget.done, self.budget.total
        if total is not None and done in validation_steps(self.config.training, total):
            self.validate()
        if done % self.steps_per_epoch == 0:
            self.save(self.folder.last)
            if total is not None and time.monotonic() - self.saved >= RESUME_SECONDS:
                self.save_progress()

    def validate(self) -> None:
        """Measure mAP on the validation part; save the weights where they are the best so far, and what a resume needs.

        Without a validation part, the latest weights count as the best.
        """
        mAP = math.nan
        if len(self.validation):
            size = self.config.training.batch_size
            detections, targets = detect_all(self.detector, self.validation, size, progress=False)
            mAP = summary(detections, targets, self.detector.classes)["mAP_area"]
            tqdm.write(f"step {self.budget.done}: validation mAP {100 * mAP:.1f} % on {len(self.validation)} images")
        self.folder.validation_table.append(self.budget.done, f"{self.epoch():.3f}", f"{mAP:.4f}")
        if math.isnan(mAP) or mAP > self.best_mAP:
            self.best_step, self.best_mAP = self.budget.done, mAP
            self.save(self.folder.best)
            # A resume from an earlier step may round otherwise, on other threads, and not come by these weights again.
            self.save_progress()

    def save(self, path: Path) -> None:
        """Write the checkpoint of this moment."""
        save_checkpoint(path, self.detector, self.config, self.budget.done)

    def save_progress(self) -> None:
        """Write the resume file of this moment, which is between two steps."""
        done = Progress(self.budget.done, self.elapsed(), self.best_step, self.best_mAP, tuple(self.log.window))
        save_training(self.folder.resume, self.detector, self.optimizer, self.config, self.data, self.placement, done)
        self.saved = time.monotonic()

    def save_stopped(self) -> None:
        """Save everything of this moment. A budget in minutes that does not know its steps yet starts again."""
        self.save(self.folder.last)
        if self.budget.total is not None:
            self.save_progress()
        tqdm.write(f"stopped after {self.budget.done} steps; their weights are in {self.folder.last}")

    def diverged(self, step: int, batch: Batch, reason: FloatingPointError) -> InputError:
        """What to tell the user when numbers are no longer finite. The weights of that moment are never saved."""
        last = self.folder.last
        kept = f"; the last whole epoch's weights are in {last}" if last.exists() else ""
        where = f"step {step}: {reason} (images {', '.join(batch.names)})"
        return InputError(f"{where}; training stopped. Look at these images, or try a lower learning rate{kept}")

    def elapsed(self) -> float:
        """Seconds of training so far, those before a stop included."""
        return self.seconds + time.monotonic() - self.started

    def epoch(self) -> float:
        """Visits of every image so far."""
        return self.budget.done / self.steps_per_epoch

    def show(self, losses: dict[str, float], images: int) -> None:
        """Move the progress bar on; its ETA appears once the number of steps is known."""
        self.bar.total = self.budget.total
        rate = self.bar.format_dict["rate"] or 0.0
        shown: dict[str, Any] = {name.removesuffix("_loss"): f"{value:.3f}" for name, value in losses.items()}
        self.bar.set_postfix(shown | {"img/s": f"{rate * images:.1f}"}, refresh=False)
        self.bar.update()
