"""`fasterfpn exercise`: tasks to write yourself, graded by the laws that hold the shipped code."""

# No `from __future__ import annotations`: run by `fasterfpn exercise`, this is no module in which names are found.
import csv
import hashlib
import io
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from fasterfpn.cli import check_writable, run
from fasterfpn.errors import InputError
from fasterfpn.files import write_json, write_text, writing
from fasterfpn.laws.process import Verdict, judged
from fasterfpn.laws.tasks import TASKS, Task

FOLDER = Path("exercises")
PASSED = FOLDER / ".passed.json"  # task: the digest of the file that passed

NameArgument = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
LawsArgument = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]


@dataclass(frozen=True)
class List:
    """List the exercises, with a tick at those that are done."""

    def __call__(self) -> None:
        passed, following = _passed(), None
        for task in TASKS.values():
            file = FOLDER / task.start.name
            done = file.is_file() and passed.get(task.name) == _digest(file)
            following = following or (None if done else task)
            state = "✓" if done else "…" if file.is_file() else " "
            print(f"{state} {task.name:<18} {task.about:<35} docs/{task.chapter}")
        if following is None:
            print("\nAll done.")
        else:
            step = "check" if (FOLDER / following.start.name).is_file() else "start"
            print(f"\nNext: fasterfpn exercise {step} {following.name}")


@dataclass(frozen=True)
class Start:
    """Write exercises/NAME.py, with the signature of what to write, what it must do, and hints.

    Args:
        name: of the exercise.
    """

    name: NameArgument

    def __call__(self) -> None:
        task = _task(self.name)
        file = FOLDER / task.start.name
        if file.exists():
            raise InputError(f"{file}: exists; edit it, or rename it to start over")
        with writing(FOLDER):
            FOLDER.mkdir(exist_ok=True)
        write_text(file, task.start.read_text(encoding="utf-8"))
        print(
            f"{file}: write {task.function}, then fasterfpn exercise check {task.name} (docs/{task.chapter} explains)"
        )


@dataclass(frozen=True)
class Check:
    """Try to break what you wrote with the laws of its exercise, and show the smallest counterexample.

    Args:
        name: of the exercise.
        file: what to check (default: exercises/NAME.py).
        laws: a Python file with more laws, LAWS = {"NAME": [...]}.
        seed: of the inputs that are tried.
    """

    name: NameArgument
    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    laws: LawsArgument = None
    seed: int = 0

    def __call__(self) -> None:
        task = _task(self.name)
        file = self.file or FOLDER / task.start.name
        if not file.is_file():
            raise InputError(f"{file}: no such file; fasterfpn exercise start {task.name} writes one to begin with")
        _check_installed()
        verdict = judged(task, file, self.seed, self.laws)
        print(report(task, file, verdict))
        if verdict.problem is not None or verdict.broken:
            raise SystemExit(1)
        if self.file is None and self.laws is None:
            write_json(PASSED, _passed() | {task.name: _digest(file)})


@dataclass(frozen=True)
class Grade:
    """Grade a class: a folder for each learner, with the files as `start` names them; or one folder of files.

    Args:
        folder: holds LEARNER/NAME.py, or NAME.py.
        csv: the table to write, a row a learner: "5/7" where five of seven laws hold, empty where there is no file.
        laws: a Python file with more laws, LAWS = {"NAME": [...]}.
        seed: of the inputs that are tried; the same for all.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    csv: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    laws: LawsArgument = None
    seed: int = 0

    def __call__(self) -> None:
        names = {task.start.name for task in TASKS.values()}
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder; give the one that holds the learners' folders")
        check_writable("--csv", self.csv)
        learners = sorted(
            {file.parent for pattern in ("*.py", "*/*.py") for file in self.folder.glob(pattern) if file.name in names}
        )
        if not learners:
            raise InputError(f"{self.folder}: no exercise in it; it holds LEARNER/NAME.py, such as ada/iou.py")
        _check_installed()
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["learner", *TASKS])
        for learner in learners:
            row = [_grade(task, learner / task.start.name, self.seed, self.laws) for task in TASKS.values()]
            rows.writerow([learner.name, *row])
            print(f"{learner.name}: " + ", ".join(f"{name} {cell}" for name, cell in zip(TASKS, row) if cell))
        write_text(self.csv, table.getvalue())
        print(f"{self.csv}: {len(learners)} learners")


def report(task: Task, file: Path, verdict: Verdict) -> str:
    """The verdict in plain words."""
    if verdict.problem is not None:
        return f"{task.name}: {file}: {verdict.problem}"
    if not verdict.broken:
        own, shipped = (
            "an error, or more than 5 s," if each is None else f"{1000 * each:.3g} ms" for each in verdict.seconds
        )
        time = f"A usual call takes {own}; the shipped function takes {shipped}."
        return f"{task.name}: all {len(verdict.laws)} laws hold. {time}"
    first, *others = (verdict.broken[law] for law in sorted(verdict.broken))
    lines = [
        f"{task.name}: {len(verdict.held)} of {len(verdict.laws)} laws hold. The first that does not:",
        "",
        f"  {verdict.laws[first.law]}",
        "",
    ]
    for call, result in first.calls:
        lines += [*(f"  {line}" for line in (*call.splitlines(), result)), ""]
    lines += [f"  The law says: {first.says}.", ""]
    if others:
        lines += ["Broken as well:", *(f"  {verdict.laws[each.law]}" for each in others), ""]
    return "\n".join([*lines, f"docs/{task.chapter} explains it."])


def _grade(task: Task, file: Path, seed: int, extra: Path | None) -> str:
    if not file.is_file():
        return ""
    verdict = judged(task, file, seed, extra)
    return f"{len(verdict.held)}/{len(verdict.laws)}"


def _check_installed() -> None:
    if find_spec("hypothesis") is None:
        raise InputError("hypothesis is missing, with which exercises are checked; pip install -e '.[learn]'")


def _task(name: str) -> Task:
    if name not in TASKS:
        raise InputError(f"{name}: no such exercise; there are {', '.join(TASKS)}")
    return TASKS[name]


def _passed() -> dict[str, str]:
    try:
        return json.loads(PASSED.read_text())
    except (OSError, ValueError):
        return {}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


Action = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Start, tyro.conf.subcommand("start")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Grade, tyro.conf.subcommand("grade")]
)


def main(action: tyro.conf.OmitSubcommandPrefixes[tyro.conf.OmitArgPrefixes[Action]] = List()) -> None:
    """Write the parts of the detector yourself: list the exercises, start one, check it; grade a class."""
    action()


if __name__ == "__main__":
    run(main, "python -m fasterfpn.exercise")
