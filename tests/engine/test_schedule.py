"""Learning rate and budget against their definitions."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.engine import schedule
from fasterfpn.engine.config import TrainingConfig
from fasterfpn.engine.schedule import TIMED, UNTIMED, Budget, learning_rate
from fasterfpn.errors import InputError


@given(st.integers(1, 300), st.integers(0, 100), st.sampled_from(["none", "cosine"]), st.floats(1e-5, 10))
def test_the_rate_rises_to_its_peak_and_falls_as_told(total, warmup, decay, peak):
    config = TrainingConfig(learning_rate=peak, warmup_steps=warmup, decay=decay)
    rates = [learning_rate(config, step, total) for step in range(total)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    rising = rates[:warmup]
    assert rising == pytest.approx([peak * (step + 1) / (warmup + 1) for step in range(len(rising))])
    after = rates[warmup:]
    if decay == "none":
        assert after == [peak] * len(after)
    else:
        assert after == sorted(after, reverse=True)
        assert learning_rate(config, total + warmup + UNTIMED + TIMED, total) == pytest.approx(0, abs=1e-12 * peak)


def test_halfway_down_the_cosine_is_half_the_peak():
    config = TrainingConfig(learning_rate=0.4, decay="cosine", warmup_steps=30)
    assert learning_rate(config, 30 + 50, 30 + 100) == pytest.approx(0.2)
    assert learning_rate(config, 30 + 25, 30 + 100) == pytest.approx(0.4 * math.cos(math.pi / 8) ** 2)


@given(st.integers(0, 60), st.integers(1, 300))
def test_a_budget_in_minutes_gives_the_rates_of_the_same_number_of_steps(warmup, total):
    config = TrainingConfig(decay="cosine", warmup_steps=warmup)
    for step in range(min(total, UNTIMED + TIMED)):
        assert learning_rate(config, step, None) == learning_rate(config, step, total)


@pytest.mark.parametrize(
    ("limits", "total"),
    [({"epochs": 3}, 30), ({"epochs": 0.25}, 3), ({"steps": 7}, 7), ({"steps": 7, "epochs": 3}, 7)],
)
def test_epochs_and_steps_fix_the_total_at_once(limits, total):
    assert Budget(TrainingConfig(**limits), steps_per_epoch=10, validation_images=5).total == total


def test_minutes_become_steps_after_twenty_timed_ones(monkeypatch):
    """Steps of half a second, after slower first ones: 60 s less what was used and what validation needs."""
    clock = [100.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: clock[0])
    budget = Budget(TrainingConfig(minutes=1, batch_size=4), steps_per_epoch=10, validation_images=16)
    for step in range(UNTIMED + TIMED):
        assert budget.total is None
        clock[0] += 2.0 if step < UNTIMED else 0.5
        budget.tick()
    used, validating = 2.0 * UNTIMED + 0.5 * TIMED, 16 * 0.5 * 0.5 / 4
    assert budget.total == UNTIMED + TIMED + int((60 - used - validating) / 0.5)


def test_a_budget_that_is_used_up_ends_at_once(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: clock[0])
    budget = Budget(TrainingConfig(minutes=0.01), steps_per_epoch=10, validation_images=0)
    for _ in range(UNTIMED + TIMED):
        clock[0] += 1.0
        budget.tick()
    assert budget.total == budget.done


NUMBERS = [f.name for f in dataclasses.fields(TrainingConfig) if not isinstance(getattr(TrainingConfig(), f.name), str)]


@pytest.mark.parametrize("field", NUMBERS)
def test_numbers_out_of_range_are_named(field):
    with pytest.raises(InputError, match=rf"^{field}: -1"):
        TrainingConfig(**{field: -1})
