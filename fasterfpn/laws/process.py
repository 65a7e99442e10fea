"""Runs a learner's file in a process of its own, and makes a verdict of whatever happens to it."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fasterfpn
from fasterfpn.laws.tasks import Task

SECONDS = 120.0  # for all laws of a task together
LONGEST_OUTPUT = 2000  # characters of what the file prints that are kept


@dataclass(frozen=True)
class Counterexample:
    """A law that does not hold: the calls with what came out of each, and what the law says."""

    law: int
    calls: list[tuple[str, str]]
    says: str


@dataclass
class Verdict:
    """What the laws say of a file. `problem`: why it could not be judged, or None."""

    held: list[int] = field(default_factory=list)
    broken: dict[int, Counterexample] = field(default_factory=dict)
    problem: str | None = None
    seconds: tuple[float | None, float | None] = (None, None)
    printed: str = ""


def judged(task: Task, file: Path, laws: int, seed: int = 0, extra: Path | None = None) -> Verdict:
    """The verdict of the first `laws` laws of a task, and its teacher's, on a file.

    A law at which the process dies is broken; the laws behind it get a new process, within the same limit of time.
    """
    verdict, end, first = Verdict(), time.monotonic() + SECONDS, 0
    while first < laws:
        with tempfile.TemporaryDirectory(prefix="fasterfpn-", ignore_cleanup_errors=True) as folder:
            first = _run(task, file, first, seed, extra, Path(folder), end, verdict)
        if verdict.problem is not None:
            break
        if time.monotonic() > end:
            for law in range(first, laws):
                verdict.broken[law] = Counterexample(law, [], f"all laws are tried within {SECONDS:g} seconds")
            break
    return verdict


def _run(
    task: Task, file: Path, first: int, seed: int, extra: Path | None, folder: Path, end: float, verdict: Verdict
) -> int:
    """Run one process; returns the number of the law to go on with."""
    home = folder / "exercise"  # the learner's: deleting it does no harm
    home.mkdir()
    copy = home / f"{task.name}.py"
    copy.write_bytes(file.read_bytes())
    reader, writer = os.pipe()
    request = {"task": task.name, "file": str(copy), "seed": seed, "first": first, "pipe": writer}
    request["extra"] = str(extra.resolve()) if extra else None
    path = [str(Path(fasterfpn.__file__).parents[1]), *map(os.path.abspath, filter(None, sys.path))]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "HOME": str(home),
        "TMPDIR": str(home),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "fasterfpn.laws.judge", json.dumps(request)],
        cwd=home,
        env=environment,
        pass_fds=[writer],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(writer)
    law, call, done = first, None, False
    try:
        for message in _messages(reader, process, end, verdict):
            call = message.get("call", call)
            if "problem" in message:
                verdict.problem, done = message["problem"], True
            elif "law" in message:
                law, call = message["law"], None
            elif "broken" in message:
                calls = [tuple(pair) for pair in message["calls"]]
                verdict.broken[law] = Counterexample(law, calls, message["says"])
            elif "held" in message:
                verdict.held.append(law)
            elif "seconds" in message:
                verdict.seconds, done = tuple(message["seconds"]), True
    finally:
        late = process.poll() is None and time.monotonic() > end
        if late or process.poll() is None and not done:
            _kill(process)
        code = process.wait()
        _kill(process)  # what the file started
        process.stdout.close()
        os.close(reader)
    if done:
        return 10**6
    if call is None and law not in verdict.broken and law not in verdict.held:
        verdict.problem = f"it does not load: {_ending(code, late)}{_last_line(verdict)}"
    elif law not in verdict.held:
        happened = "it did not come back" if late else _ending(code, late)
        verdict.broken.setdefault(law, Counterexample(law, [(call or task.function, happened)], "it returns a result"))
    return law + 1


def _messages(reader: int, process: subprocess.Popen, end: float, verdict: Verdict) -> Iterator[dict]:
    """What the process tells until it ends or the time is up; what it prints goes to the verdict, cut."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        for descriptor in (reader, process.stdout.fileno()):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fd)
                    if key.fd == reader:
                        return
                elif key.fd == reader:
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from map(json.loads, lines)
                else:
                    verdict.printed = (verdict.printed + chunk.decode(errors="replace"))[-LONGEST_OUTPUT:]


def _kill(process: subprocess.Popen) -> None:
    """End the process and those of its group, if there is any."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _ending(code: int, late: bool) -> str:
    """How a process ended, in words."""
    if late:
        return "it did not come back"
    if code < 0:
        return f"the process crashed ({signal.Signals(-code).name})"
    return f"the process ended with exit status {code}"


def _last_line(verdict: Verdict) -> str:
    lines = verdict.printed.strip().splitlines()
    return f"; its last line was: {lines[-1]}" if lines else ""
