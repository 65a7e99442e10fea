"""Errors of many files in one message, so that the user can mend all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from fasterfpn.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def attempt(function: Callable[[Item], Result], items: Iterable[Item]) -> tuple[list[Result], list[str]]:
    """`function(item)` of every item for which it succeeds, and the message of each `InputError` of the others."""
    results, refusals = [], []
    for item in items:
        try:
            results.append(function(item))
        except InputError as error:
            refusals.append(str(error))
    return results, refusals


def refuse(refusals: Sequence[str]) -> None:
    """Raise `InputError` with all the messages, a line each under a count; nothing happens where there is none."""
    if len(refusals) == 1:
        raise InputError(refusals[0])
    if refusals:
        raise InputError("\n  ".join([f"{len(refusals)} problems:", *refusals]))


def examples(items: Sequence[object], limit: int = 3) -> str:
    """The first `limit` items, joined by commas, and an ellipsis where there are more."""
    return ", ".join(map(str, items[:limit])) + (", ..." if len(items) > limit else "")


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 image", "2 images"; `many` is `one` with an s unless it is given ("image is", "images are")."""
    return f"{number} {one if number == 1 else many or one + 's'}"
