"""Where a run's images come from, by the name in its configuration: the built-in profiles, or a folder."""

from __future__ import annotations

from collections.abc import Sequence

from fasterfpn.data.config import DataConfig
from fasterfpn.data.splits import Splits, open_data
from fasterfpn.data.synthetic.dataset import built_in_splits
from fasterfpn.errors import InputError

FIRST_BUILT_IN = "the built-in images of fasterfpn 0.1"  # in place of "synthetic" in a run of that version


def open_source(config: DataConfig, classes: Sequence[str] | None = None) -> Splits:
    """The three parts of `config.data`. With `classes`, a checkpoint's, others in a folder are an `InputError`."""
    if config.data == "synthetic":
        return built_in_splits(config.split_seed, config.difficulty)
    if config.data == FIRST_BUILT_IN:
        raise InputError(f"this run was trained on {FIRST_BUILT_IN}, which only that version makes; give other data")
    return open_data(config, classes)
