"""The folder of one run: the name of every file in it, its making, its lock and its two tables.

The weights and the state of a training are `checkpoint.py`'s to write and read; the report is `study`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from fasterfpn.engine.tables import LOSSES, Table
from fasterfpn.errors import InputError
from fasterfpn.files import LOCK, exclusive, lock_holder, writing


class RunFolder:
    """Where the files of a run lie. Making this object touches no file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.problems = path / "problems.txt"  # what reading the data brought up, a line each
        self.loss_table = Table(path / "losses.csv", ("step", "epoch", "learning_rate", *LOSSES))
        self.validation_table = Table(path / "validation.csv", ("step", "epoch", "mAP_area"))
        self.best = path / "model.safetensors"  # the weights of the best validation
        self.last = path / "last.safetensors"  # those of the last whole epoch, or of the end
        self.resume = path / "resume.safetensors"  # what further steps depend on; removed once all is done
        self.metrics = path / "metrics.json"  # of the test part
        self.report_page = path / "report.html"
        self.report_figures = path / "report.json"

    @classmethod
    def next_in(cls, parent: Path) -> RunFolder:
        """Make the next free folder 001, 002, ... in `parent`; no two processes get the same one."""
        with writing(parent):
            parent.mkdir(parents=True, exist_ok=True)
            numbers = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
            for number in count(max(numbers, default=0) + 1):
                path = parent / f"{number:03d}"
                with suppress(FileExistsError):  # another process was faster
                    path.mkdir()
                    return cls(path)

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Make the folder and hold it for this process alone, to start a run in it.

        Raises `InputError` where it holds something already, and what `files.exclusive` raises.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with exclusive(self.path):
            self.check_free()
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process alone, to resume the run in it. Raises what `files.exclusive` raises."""
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such run folder")
        with exclusive(self.path):
            yield

    def check_free(self) -> None:
        """Raise `InputError` where starting a run here would overwrite something.

        A run that was killed before it saved its first weights leaves a configuration and tables, which may go.
        """
        early = {path.name for path in (self.config, self.problems, self.loss_table.path, self.validation_table.path)}
        with writing(self.path):
            if not self.path.exists():
                return
            if not self.path.is_dir():
                raise InputError(f"{self.path}: exists already and is no folder; give a new one")
            names = {path.name for path in self.path.iterdir() if not path.name.endswith((LOCK, ".partial"))}
        if names and not (self.config.name in names and names <= early):
            at_work = f" and process {holder} is working in it" if (holder := lock_holder(self.path)) else ""
            raise InputError(f"{self.path}: exists already{at_work}; give a new folder, so that no earlier run is lost")

    def losses(self) -> dict[str, list[float]]:
        """Read losses.csv as `Table.read` does."""
        return self.loss_table.read()

    def validations(self) -> dict[str, list[float]]:
        """Read validation.csv as `Table.read` does; mAP_area is NaN without a validation part."""
        return self.validation_table.read()
