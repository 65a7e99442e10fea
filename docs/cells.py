"""Runs the cells of the chapters and compares what they say with what the chapters claim.

    ```{code-cell} python
    side = 7
    print("bins", side * side)
    side
    # -> bins 49
    # -> 7
    ```

The cells of a chapter share one namespace and run in docs/. What a cell prints, and then the repr of its last
expression unless that is None, stands at its end, line by line, behind `# -> `. `python docs/cells.py [CHAPTER ...]`
runs all chapters by default, names every cell that says something else, and then exits with 1.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
FENCE = "```{code-cell} python"
CLAIM = re.compile(r"# ->(?: (.*))?$")


@dataclass(frozen=True)
class Cell:
    """The code of a cell, what the chapter claims that it says, and the number of its first line in the chapter."""

    code: str
    claim: list[str]
    line: int


def has_cells(text: str) -> bool:
    """Tell whether a chapter has cells to run."""
    return re.search(rf"^{re.escape(FENCE)}$", text, re.M) is not None


def without_claims(text: str) -> str:
    """Return a chapter without its `# -> ` lines: the site shows what the cells really say."""
    return re.sub(r"^# ->.*\n", "", text, flags=re.M)


def cells_of(chapter: Path) -> list[Cell]:
    """Return the cells of a chapter.

    Raises ValueError for a cell of another language, one that is not closed, and a claim before the end of a cell.
    """
    lines = chapter.read_text(encoding="utf-8").splitlines()
    cells, i = [], 0
    while i < len(lines):
        if lines[i].startswith("```{code-cell}"):
            if lines[i] != FENCE:
                raise ValueError(f"{chapter}:{i + 1}: a cell begins with {FENCE}, not {lines[i]}")
            if "```" not in lines[i:]:
                raise ValueError(f"{chapter}:{i + 1}: the cell does not end with ```")
            end = lines.index("```", i)
            cells.append(_cell(lines[i + 1 : end], i + 2))
            if any(CLAIM.match(line) for line in cells[-1].code.splitlines()):
                raise ValueError(f"{chapter}:{i + 1}: `# ->` lines stand at the end of a cell; split the cell")
            i = end
        i += 1
    return cells


def _cell(lines: list[str], first: int) -> Cell:
    while lines and lines[0].startswith(":"):  # an option such as `:tags: [hide-input]`
        lines, first = lines[1:], first + 1
    end = len(lines)
    while end and CLAIM.match(lines[end - 1]):
        end -= 1
    return Cell("\n".join(lines[:end]), [CLAIM.match(line)[1] or "" for line in lines[end:]], first)


def faults(chapter: Path) -> list[str]:
    """Run a chapter; return a message for each cell that raises or says what the chapter does not claim.

    After a cell that raises the rest of the chapter is not run.
    """
    namespace, found, cells = {"__name__": "__main__"}, [], cells_of(chapter)
    with _in_docs():
        for cell in cells:
            try:
                said = _said(cell, namespace, f"{chapter.name}:{cell.line}")
            except Exception:
                return [*found, f"{chapter}:{cell.line}: the cell raises\n{_indented(traceback.format_exc(limit=-3))}"]
            if said != cell.claim:
                found.append(_difference(f"{chapter}:{cell.line}", cell.claim, said))
    return found


def _said(cell: Cell, namespace: dict, name: str) -> list[str]:
    """Run a cell; return the lines that it prints, its last expression's repr among them."""
    linecache.cache[name] = (len(cell.code), None, [line + "\n" for line in cell.code.splitlines()], name)
    body, last = ast.parse(cell.code, name).body, None
    if body and isinstance(body[-1], ast.Expr):
        last = ast.Expression(body.pop().value)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(ast.Module(body, []), name, "exec"), namespace)
        value = eval(compile(last, name, "eval"), namespace) if last else None
        if value is not None:
            print(repr(value))
    return output.getvalue().splitlines()


@contextlib.contextmanager
def _in_docs():
    """Run in docs/ with docs/ on the module path, as the kernel of the site does."""
    before = Path.cwd(), sys.path[:]
    os.chdir(DOCS)
    sys.path.insert(0, str(DOCS))
    try:
        yield
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]


def _difference(place: str, wanted: list[str], got: list[str]) -> str:
    """Name the first line that differs and show all of both."""
    first = next((i for i, pair in enumerate(zip(wanted, got)) if pair[0] != pair[1]), min(len(wanted), len(got)))
    return "\n".join(
        [
            f"{place}: line {first + 1} of what the cell says is not what the chapter claims",
            *(["  wanted:", _indented("\n".join(wanted))] if wanted else ["  wanted: nothing"]),
            *(["  got:", _indented("\n".join(got))] if got else ["  got: nothing"]),
        ]
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def chapters() -> list[Path]:
    """Return the pages that have cells, answers among them."""
    pages = (page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
    return sorted(page for page in pages if has_cells(page.read_text(encoding="utf-8")))


def main() -> None:
    """Run the chapters that are named, or all."""
    found = []
    for chapter in map(Path, sys.argv[1:] or chapters()):
        try:
            found += faults(chapter)
        except (OSError, ValueError) as error:
            sys.exit(f"{error}")
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
