"""The two tables of a run, losses.csv and validation.csv: written line by line, never trusted when read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fasterfpn.errors import InputError
from fasterfpn.files import append_line, write_text

LOSSES = ("total_loss", "rpn_cls_loss", "rpn_loc_loss", "roi_cls_loss", "roi_loc_loss")  # names of the paper's fig. 10


@dataclass(frozen=True)
class Table:
    """A CSV file of numbers whose first column is `step`, rising from row to row."""

    path: Path
    columns: tuple[str, ...]

    def start(self) -> None:
        """Write the heading alone; earlier rows go."""
        self._write([])

    def append(self, step: int, *cells: str) -> None:
        """Add a row at once, whole."""
        append_line(self.path, ",".join([str(step), *cells]))

    def read(self) -> dict[str, list[float]]:
        """The columns by name; a file may have others. A last line that a stop has cut off is left out, and named.

        Raises `InputError` for a missing file, a missing column and a row that is not a number in every column.
        """
        heading, rows = self._checked(self._lines())
        cells = [row.split(",") for row in rows]
        return {name: [float(row[heading.index(name)]) for row in cells] for name in self.columns}

    def continue_after(self, step: int, expected: Iterable[int]) -> None:
        """Cut the table back to the rows of the steps `expected`, none later than `step`; name those that it lacks.

        An absent or empty file begins anew. Raises as `read`; a file with another heading is not written to.
        """
        lines = self._lines() if self.path.exists() else []
        heading, rows = self._checked(lines or [",".join(self.columns)])
        if heading != list(self.columns):
            raise InputError(f"{self.path}: has the columns {', '.join(heading)}; {self._remedy()}")
        wanted = set(expected)
        kept = [row for row in rows if _step(row) in wanted]
        self._write(kept)
        lacking = sorted(wanted - set(map(_step, kept)))
        if lacking:
            print(
                f"{self.path}: lacks {len(lacking)} rows that were there when the training was saved (steps "
                f"{lacking[0]} to {lacking[-1]}); the training continues after step {step} without them",
                file=sys.stderr,
            )

    def _write(self, rows: list[str]) -> None:
        write_text(self.path, "\n".join([",".join(self.columns), *rows]) + "\n")

    def _lines(self) -> list[str]:
        """The lines that end as lines do; what follows the last of them is named."""
        try:
            *lines, rest = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from error
        if rest:
            print(f"{self.path}: its last line was cut off and is left out: {rest[:80]!r}", file=sys.stderr)
        return lines

    def _checked(self, lines: list[str]) -> tuple[list[str], list[str]]:
        """The heading's names and the rows, as text. Raises `InputError` for what is no row of this table."""
        heading = lines[0].split(",") if lines else []
        missing = [name for name in self.columns if name not in heading]
        if missing:
            raise InputError(f"{self.path}: its first line lacks the columns {', '.join(missing)}; {self._remedy()}")
        last = 0
        for number, line in enumerate(lines[1:], start=2):
            try:
                cells = [float(cell) for cell in line.split(",")]
                if len(cells) != len(heading) or _step(line) <= last:
                    raise ValueError
            except ValueError:
                raise InputError(f"{self.path}: line {number} is damaged; {self._remedy()}") from None
            last = _step(line)
        return heading, lines[1:]

    def _remedy(self) -> str:
        return "mend it, or remove the file to resume without its rows"


def _step(row: str) -> int:
    return int(row.split(",")[0])


@dataclass
class LossLog:
    """Rows of losses.csv, one every `every` steps: each loss is the mean since the last row."""

    table: Table
    every: int
    window: list[dict[str, float]] = field(default_factory=list)
    """The steps since the last whole row."""

    def add(self, step: int, epoch: float, rate: float, losses: Mapping[str, float]) -> None:
        """Take a step's losses, and write a row where one is due."""
        self.window.append({"step": step, "epoch": epoch, "learning_rate": rate, **losses})
        if step % self.every == 0:
            self.flush()

    def flush(self) -> None:
        """Write the steps since the last row as one row, where there are some."""
        if not self.window:
            return
        last = self.window[-1]
        means = [sum(entry[name] for entry in self.window) / len(self.window) for name in LOSSES]
        self.window = []
        cells = [f"{last['epoch']:.3f}", f"{last['learning_rate']:.6g}", *(f"{mean:.5f}" for mean in means)]
        self.table.append(int(last["step"]), *cells)

    def continue_after(self, step: int, window: Iterable[dict[str, float]]) -> None:
        """Cut the table back to `step`; `window` holds the losses since the last whole row."""
        self.table.continue_after(step, range(self.every, step + 1, self.every))
        self.window = list(window)
