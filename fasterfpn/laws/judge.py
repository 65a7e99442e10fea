"""The process that runs a learner's file: `python -m fasterfpn.laws.judge`, started by `fasterfpn.laws.process`.

It loads the file, and tries each law in a child of its own. What happens is told on a pipe, a JSON object a line, as
soon as it happens, so that no crash takes it away:
{"laws": [text, ..]}     what the laws say
{"fault": text}          the teacher's file of laws cannot be read
{"problem": text}        the file cannot be judged: it does not load, or hands on what is not the learner's
{"call": text}           the learner's function is about to be called
{"broken": i, "calls": [[call, result], ..], "says": text}   a counterexample; a later one of the same law is smaller
{"died": i, "how": text} the child of law i ended before it could tell how the law fared
{"held": i}              law i holds
{"seconds": [own, shipped]}   one typical call; the end
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from hypothesis.errors import HypothesisException

from fasterfpn.laws.guard import Taken, guard, refuse
from fasterfpn.laws.law import Broken, Law, Recorder, Stop, exercise_settings, laws_of
from fasterfpn.laws.tasks import TASKS, Task

MEMORY = 2 << 30  # bytes more than this process has when the file is loaded
FILE_SIZE = 64 << 20  # bytes of any file that it writes
CALL_SECONDS = 5.0  # for one call
LAW_SECONDS = 30.0  # for one law
HELD, BROKEN, TAKEN = 70, 71, 72  # exit statuses of a law's child
SHOWN_CALLS = 3  # of a counterexample, the last


class TooLong(Stop):
    """A call takes more than CALL_SECONDS."""


def judge(task: Task, file: Path, seed: int, extra: Path | None, tell: Callable[..., None]) -> None:
    """Load the file, try the laws, and tell. `extra` is a teacher's file with more laws, `LAWS = {"iou": [..]}`."""
    laws = laws_of(task.laws_module)
    if extra is not None:
        try:
            laws += _module("teachers_laws", extra).LAWS.get(task.name, [])
        except Exception as error:
            tell(fault=f"{type(error).__name__}: {error}")
            return
    tell(laws=[law.says for law in laws])
    reference, typical = task.laws_module.reference, task.laws_module.typical()
    guard(str(file), task.taken)
    _limit()
    try:
        with _at_most(CALL_SECONDS):
            solution = load(task, file)
    except BaseException as error:
        tell(problem=_why(error, file))
        return
    recorder = Recorder(
        solution,
        task.function,
        inspect.signature(reference),
        limit=lambda: _at_most(CALL_SECONDS),
        before=lambda text: tell(call=text),
    )
    ends = []
    for number, law in enumerate(laws):
        shrink = all(end == HELD for end in ends)  # a counterexample that nobody is shown need not be small
        ends.append(_in_a_child(lambda: _check(number, law, recorder, seed, shrink, tell)))  # noqa: B023
        if ends[-1] == TAKEN:
            return
        if ends[-1] not in (HELD, BROKEN):
            tell(died=number, how=_ending(ends[-1]))
    own = reference_seconds = None
    if all(end == HELD for end in ends):
        own, reference_seconds = _seconds(solution, typical), _seconds(reference, typical)
    tell(seconds=[own, reference_seconds])


def _in_a_child(work: Callable[[], int]) -> int | None:
    """The exit status of a child that does the work, -N for signal N, or None for one that had to be stopped."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work()
        finally:
            os._exit(status)
    end = time.monotonic() + LAW_SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _ending(code: int | None) -> str:
    """How a child ended by itself, in words."""
    if code is None:
        return "did not come back"
    return f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended the process, with exit status {code}"


def load(task: Task, file: Path) -> Callable:
    """The learner's function."""
    solution = getattr(_module("exercise", file), task.function, None)
    if not callable(solution):
        raise Broken(f"it defines no function {task.function}")
    return refuse(solution)


def _module(name: str, file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(number: int, law: Law, recorder: Recorder, seed: int, shrink: bool, tell: Callable[..., None]) -> int:
    """Try one law, tell how it fared, and return the exit status."""

    def holds(function: Callable, **inputs: Any) -> None:
        recorder.calls.clear()
        try:
            law.holds(function, **inputs)
        except (Exception, TooLong) as broken:
            if not isinstance(broken, HypothesisException):
                tell(broken=number, calls=recorder.calls[-SHOWN_CALLS:], says=str(broken))
            raise

    try:
        Law(law.says, law.inputs, holds).check(recorder, exercise_settings(shrink), seed)
    except (Broken, TooLong):
        return BROKEN
    except HypothesisException as error:
        tell(broken=number, calls=[], says=f"something that could not be tried ({error})")
        return BROKEN
    except Taken as error:
        tell(problem=str(error))
        return TAKEN
    tell(held=number)
    return HELD


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise TooLong(f"one call ends within {seconds:g} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        home = os.environ["HOME"]
        if not os.path.isdir(home):  # the learner's file deleted its own folder; hypothesis wants to know where it is
            os.makedirs(home)
            os.chdir(home)


def _limit() -> None:
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _why(error: BaseException, file: Path) -> str:
    """One line for a file that does not load."""
    if isinstance(error, Taken | Broken | TooLong):
        return str(error).replace("one call ends", "it does not load: that takes no end; a file is loaded")
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(file) else line
        trace = trace.tb_next
    what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"it does not load: {type(error).__name__}: {what}" + (f" (line {line})" if line else "")


def _seconds(function: Callable, arguments: tuple) -> float | None:
    """The least of three calls; None where the first is stopped or raises."""
    best = None
    with suppress(Exception, Stop, SystemExit):
        for _ in range(3):
            start = time.perf_counter()
            with _at_most(CALL_SECONDS):
                function(*arguments)
            spent = time.perf_counter() - start
            best = spent if best is None else min(best, spent)
            if spent > 1:
                break
    return best


def main() -> None:
    """The request is a JSON object, the only argument."""
    request = json.loads(sys.argv[1])
    pipe = os.fdopen(request["pipe"], "w", buffering=1)
    extra = request["extra"] and Path(request["extra"])

    def tell(**message: Any) -> None:
        pipe.write(json.dumps(message) + "\n")

    torch.set_num_threads(1)
    judge(TASKS[request["task"]], Path(request["file"]), request["seed"], extra, tell)
    sys.stdout.flush()
    os._exit(0)  # threads that the learner started end here


if __name__ == "__main__":
    main()
