"""Values as a learner would type them: numbers without trailing zeros, tensors as nested lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

WIDTH = 100  # characters of a line
MOST_NUMBERS = 200  # of a tensor that is written out


def about(value: Any) -> str:
    """`plain`, with numbers rounded to five digits."""
    return plain(value, lambda number: f"{number:.5g}")


def plain(value: Any, number: Callable[[Any], str] | None = None) -> str:
    """`value` in few words; a large tensor as its shape alone. `number` writes a number, as `exact` does."""
    number = number or exact
    if isinstance(value, Tensor):
        value = value.detach().cpu().resolve_neg()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, np.ndarray):
        if value.size > MOST_NUMBERS:
            return f"numbers of shape {value.shape}"
        return _nested(value, number) if value.size else f"nothing, of shape {value.shape}"
    if isinstance(value, torch.Generator):
        return f"torch.Generator() seeded with {value.initial_seed()}"
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | float | np.number):
        return number(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {plain(item, number)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        left, right = "[]" if isinstance(value, list) else "()"
        return left + ", ".join(plain(item, number) for item in value) + right
    text = repr(value)
    return text if len(text) <= 3 * WIDTH else text[: 3 * WIDTH] + "..."


def _nested(array: np.ndarray, number: Callable[[Any], str]) -> str:
    if array.ndim == 0:
        return plain(array[()], number)
    return "[" + ", ".join(_nested(row, number) for row in array) + "]"


def exact(value: Any) -> str:
    """The shortest decimal that is this number in its own type, 2 for 2.0."""
    if -1e6 < value < 1e6 and value == int(value):
        return str(int(value))
    return str(np.asarray(value)[()]).removesuffix(".0")


def call(function: str, arguments: dict[str, Any]) -> str:
    """A call of the learner's function, on one line where it fits."""
    parts = [f"{name}={plain(value)}" for name, value in arguments.items()]
    line = f"{function}({', '.join(parts)})"
    return line if len(line) <= WIDTH else "\n  ".join([f"{function}(", *(f"{part}," for part in parts)]) + "\n)"
