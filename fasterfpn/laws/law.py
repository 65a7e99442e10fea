"""A law: a sentence, inputs to try, and a function that raises `Broken` where an implementation does not obey."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import hypothesis
import torch
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Flaky, HypothesisException
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from fasterfpn.laws import plain

EXAMPLES = 100  # that a law tries
TOLERANCE = 1e-4  # relative and absolute: float32, in whatever order a sum is taken


class Broken(AssertionError):
    """What came out is not what the law says: `says` is the law's side of it."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class Stop(BaseException):
    """A call that must go no further; no `except Exception` in a learner's file hides it."""


@dataclass(frozen=True)
class Law:
    """`says` is the law in one sentence; `holds(implementation, **inputs)` raises where it does not."""

    says: str
    inputs: dict[str, SearchStrategy]
    holds: Callable[..., None]

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.holds.__name__

    def check(
        self, implementation: Callable, settings: hypothesis.settings | None = None, seed: int | None = None
    ) -> None:
        """Try to break the law with the implementation; raises what the smallest counterexample raised.

        `settings` default to those of the profile in use. The same `seed` tries the same inputs.
        """

        def attempt(**inputs: Any) -> None:
            try:
                self.holds(implementation, **inputs)
            except (Broken, HypothesisException):
                raise
            except Exception as error:  # a plain assert, or a result that the law cannot read
                raise Broken(str(error) or "otherwise") from error

        attempt.__name__ = attempt.__qualname__ = self.name
        attempt = hypothesis.given(**self.inputs)(attempt) if self.inputs else attempt
        if self.inputs and settings is not None:
            attempt = hypothesis.settings(settings)(attempt)
        if self.inputs and seed is not None:
            attempt = hypothesis.seed(seed)(attempt)
        try:
            attempt()
        except Flaky as error:
            raise Broken("the same arguments give the same result, whenever they come") from error


def law(**inputs: SearchStrategy) -> Callable[[Callable[..., None]], Law]:
    """Make a law of a function `(implementation, **inputs)`, whose docstring says it in one sentence.

    Without inputs it is tried once.
    """
    return lambda holds: Law(
        " ".join((inspect.getdoc(holds) or holds.__name__.replace("_", " ")).split()), inputs, holds
    )


def laws_of(module: ModuleType) -> list[Law]:
    """The laws of a module in the order in which they stand there."""
    return [value for value in vars(module).values() if isinstance(value, Law)]


def exercise_settings(shrink: bool = True) -> hypothesis.settings:
    """Those of `fasterfpn exercise`: no deadline, no data base, no remarks about speed."""
    return hypothesis.settings(
        max_examples=EXAMPLES,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


# ------------------------------------------------------------------------------------------- comparing in plain words


def values(result: Any, what: str = "the result") -> Tensor:
    """Numbers of any kind (tensor, array, list, float) as a float64 tensor. Raises `Broken` for what are none."""
    if isinstance(result, Tensor):
        return result.detach().double()
    if isinstance(result, list | tuple) and any(isinstance(item, Tensor) for item in result):
        result = [values(item, what).tolist() for item in result]
    try:
        return torch.as_tensor(result, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Broken(f"{what} is a tensor of numbers, not {plain.plain(result)}") from error


def expect(got: Any, wanted: Any, what: str = "the result", tolerance: float = TOLERANCE) -> None:
    """Raises `Broken` unless `got` has the shape and, within the tolerance, the values of `wanted`; NaN equals NaN."""
    result, due = values(got, what), values(wanted)
    if result.shape != due.shape:
        raise Broken(f"{what} has shape {tuple(due.shape)}, not {tuple(result.shape)}: {plain.about(wanted)}")
    if not torch.allclose(result, due, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise Broken(f"{what} is {plain.about(wanted)}")


def expect_that(condition: bool, says: str) -> None:
    """Raises `Broken(says)` unless the condition holds."""
    if not condition:
        raise Broken(says)


def several(got: Any, count: int, what: str) -> list[Any]:
    """The parts of a result that is a tuple or list of `count`. Raises `Broken` for anything else."""
    expect_that(isinstance(got, tuple | list) and len(got) == count, f"{count} tensors come back: {what}")
    return list(got)


# ------------------------------------------------------------------------------------------- listening to the calls


@dataclass
class Recorder:
    """An implementation that remembers its calls, and complains where one raises or changes its arguments."""

    function: Callable
    name: str
    signature: inspect.Signature
    limit: Callable[[], AbstractContextManager] = nullcontext
    before: Callable[[str], object] = lambda text: None
    calls: list[tuple[str, str]] = field(default_factory=list)  # of the present example: the call, what came out

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments = self.signature.bind(*args, **kwargs).arguments
        text = plain.call(self.name, arguments)
        self.before(text)
        kept = [_copy(value) for value in arguments.values()]
        try:
            with self.limit():
                result = self.function(*args, **kwargs)
        except Stop:
            self.calls.append((text, "did not come back"))
            raise
        except BaseException as error:  # sys.exit() too
            self.calls.append((text, f"raised {_raised(error)}"))
            raise Broken("it returns a result") from error
        self.calls.append((text, f"gave {plain.about(result)}"))
        for name, value, old in zip(arguments, arguments.values(), kept):
            if not _same(value, old):
                raise Broken(f"the arguments are left as they are, but {name} is now {plain.plain(value)}")
        return result


def _raised(error: BaseException) -> str:
    """The exception, and the line of the learner's file that raised it."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        lines.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    own = [line for file, line in lines if len(lines) > 1 and file == lines[1][0]]
    message = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {message}' if message else ''}" + (f" (line {own[-1]})" if own else "")


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return type(value)(map(_copy, value)) if type(value) in (list, tuple) else value


def _same(value: Any, old: Any) -> bool:
    if isinstance(value, Tensor):
        return value.shape == old.shape and torch.allclose(value.detach(), old, rtol=0, atol=0, equal_nan=True)
    if isinstance(value, dict):
        return value.keys() == old.keys() and all(_same(item, old[key]) for key, item in value.items())
    if type(value) in (list, tuple):
        return len(value) == len(old) and all(map(_same, value, old))
    return True
