"""How long a run lasts and how its learning rate moves.

step counts from 0; `total` steps in all, of which a budget in minutes learns only after 20 timed steps.
"""

from __future__ import annotations

import math
import time

from fasterfpn.engine.config import TrainingConfig

UNTIMED, TIMED = 5, 20  # the first steps are slower: memory is allocated, kernels are chosen


class Budget:
    """The number of steps: from epochs or steps at once; from minutes after the first 20 timed ones.

    `tick()` after every step; `total` is None until it is known. `validation_images` over the whole run are allowed
    for at half a training image's time each.
    """

    def __init__(self, config: TrainingConfig, steps_per_epoch: int, validation_images: int) -> None:
        self.config = config
        self.validation_images = validation_images
        self.started = time.monotonic()
        self.done = 0
        self.total: int | None = None
        if config.minutes is None:
            self.total = config.steps or math.ceil(config.epochs * steps_per_epoch)

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.total is not None and self.done >= self.total

    def tick(self) -> None:
        """Count a finished step."""
        self.done += 1
        now = time.monotonic()
        if self.done == UNTIMED:
            self.timed_from = now
        if self.total is None and self.done == UNTIMED + TIMED:
            step_seconds = (now - self.timed_from) / TIMED
            validating = 0.5 * self.validation_images * step_seconds / self.config.batch_size
            left = 60 * self.config.minutes - (now - self.started) - validating
            self.total = self.done + max(0, int(left / step_seconds))


def validation_steps(config: TrainingConfig, total: int) -> list[int]:
    """The steps, counted from 1, after which a run of `total` steps is validated: evenly, the last one among them."""
    count = config.validations
    return sorted({max(1, round(total * number / count)) for number in range(1, count + 1)})


def learning_rate(config: TrainingConfig, step: int, total: int | None) -> float:
    """Rate of a step: linear warm-up, then constant or half a cosine down to 0 (Loshchilov and Hutter 2017)."""
    start = max(config.warmup_steps, UNTIMED + TIMED)  # before it, a budget in minutes does not know its total
    if step < start or config.decay == "none" or total is None:
        return config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))
    progress = min(1.0, (step - start) / max(1, total - start))
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
