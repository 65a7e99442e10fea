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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fasterfpn.errors import InputError
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

    laws: list[str] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    broken: dict[int, Counterexample] = field(default_factory=dict)
    problem: str | None = None
    seconds: tuple[float | None, float | None] = (None, None)
    printed: str = ""


def judged(task: Task, file: Path, seed: int = 0, extra: Path | None = None) -> Verdict:
    """The verdict of the laws of a task, and of those in the file `extra`, on a learner's file.

    Raises `InputError` where `extra` cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="fasterfpn-", ignore_cleanup_errors=True) as folder:
        return _run(task, file, seed, extra, Path(folder))


def _run(task: Task, file: Path, seed: int, extra: Path | None, folder: Path) -> Verdict:
    home = folder / "exercise"  # the learner's: deleting it does no harm
    home.mkdir()
    copy = home / f"{task.name}.py"
    copy.write_bytes(file.read_bytes())
    reader, writer = os.pipe()
    request = {"task": task.name, "file": str(copy), "seed": seed, "pipe": writer}
    request["extra"] = str(extra.resolve()) if extra else None
    path = [str(Path(__file__).parents[2]), *map(os.path.abspath, filter(None, sys.path))]
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
    verdict, call, end = Verdict(), None, time.monotonic() + SECONDS
    try:
        done = False
        for message in _messages(reader, process, end, verdict):
            verdict.laws, call = message.get("laws", verdict.laws), message.get("call", call)
            if "broken" in message:
                law, calls = message["broken"], [tuple(pair) for pair in message["calls"]]
                verdict.broken[law] = Counterexample(law, calls, message["says"])
            elif "died" in message:
                law, calls = message["died"], [(call or task.function, message["how"])]
                verdict.broken.setdefault(law, Counterexample(law, calls, "it returns a result"))
            elif "held" in message:
                verdict.held.append(message["held"])
            elif "fault" in message:
                raise InputError(
                    f"{extra}: cannot be used as laws ({message['fault']}); fasterfpn/laws/iou.py shows how"
                )
            elif "problem" in message or "seconds" in message:
                verdict.problem, verdict.seconds = message.get("problem"), tuple(message.get("seconds", (None, None)))
                done = True
                break
    finally:
        _kill(process)
        process.wait()
        process.stdout.close()
        os.close(reader)
    if not done and call is None:
        how = "did not come back" if time.monotonic() > end else "ended the process"
        last = verdict.printed.strip().splitlines()[-1:]
        verdict.problem = f"it does not load: it {how}" + "".join(f"; it printed last: {line}" for line in last)
    elif not done:
        for law in set(range(len(verdict.laws))) - set(verdict.held) - set(verdict.broken):
            verdict.broken[law] = Counterexample(law, [], f"all laws are tried within {SECONDS:g} seconds")
    return verdict


def _messages(reader: int, process: subprocess.Popen, end: float, verdict: Verdict) -> Iterator[dict]:
    """What the process tells until it ends or the time is up; what it prints goes to the verdict, cut."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        for descriptor in (reader, process.stdout.fileno()):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            events = selector.select(min(left, 1))
            if not events and process.poll() is not None:
                return  # what it started may still hold the pipe
            for key, _ in events:
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
    """End the process and those that it started, if there are any."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
