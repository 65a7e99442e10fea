"""Fills the marked blocks of the chapters with code taken from its source file by the name of the function.

    <!-- code: fasterfpn/geometry/boxes.py box_iou -->          also `Detector.forward`, or a constant's name
    <!-- code: fasterfpn/models/rpn.py propose without docstring -->
    <!-- code: csrc/cpu/nms.cpp suppress -->

Under such a comment stands a fenced block, which this script writes: `python docs/code_blocks.py` fills all chapters,
`--check` writes nothing and exits with 1 where a block is not what its source file says.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
BLOCK = re.compile(
    r"^<!-- code: (?P<path>\S+) (?P<name>\S+)(?P<bare> without docstring)? -->\n(?:```\w+\n.*?^```\n)?", re.M | re.S
)


def filled(text: str) -> str:
    """Return the text of a chapter with the present code in every marked block."""

    def block(match: re.Match) -> str:
        comment = match[0].partition("\n")[0]
        language = "python" if match["path"].endswith(".py") else "cpp"
        code = excerpt(ROOT / match["path"], match["name"], bool(match["bare"]))
        return f"{comment}\n```{language}\n{code}\n```\n"

    return BLOCK.sub(block, text)


def excerpt(path: Path, name: str, without_docstring: bool = False) -> str:
    """Return the source of a function, class, method (`Class.method`) or constant, without indentation.

    Raises KeyError where the file has none of that name.
    """
    source = path.read_text(encoding="utf-8")
    find = _python if path.suffix == ".py" else _cpp
    return textwrap.dedent(find(source, name, without_docstring)).strip("\n")


def _python(source: str, name: str, without_docstring: bool) -> str:
    nodes, node = ast.parse(source).body, None
    for part in name.split("."):
        nodes = [inner for node in nodes for inner in (node.body if isinstance(node, ast.If) else [node])]
        node = next((node for node in nodes if part in _names(node)), None)
        if node is None:
            raise KeyError(f"no {name} in the Python file")
        nodes = getattr(node, "body", [])
    lines = source.splitlines()
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    docstring = nodes[0] if without_docstring and ast.get_docstring(node) else None
    dropped = range(docstring.lineno, docstring.end_lineno + 1) if docstring else ()
    return "\n".join(lines[i - 1] for i in range(first, node.end_lineno + 1) if i not in dropped)


def _names(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a module or class defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _cpp(source: str, name: str, without_docstring: bool) -> str:
    """Return a definition with the comment and template line above it, up to the brace that closes it."""
    above, head = r"^(?:(?://|template)[^\n]*\n)*", rf"[^\n/#;]*\b{re.escape(name)}\b[^;{{}}]*\{{"
    head = re.search(rf"{above}(?!\s){head}", source, re.M) or re.search(above + head, source, re.M)  # or a method
    if head is None:
        raise KeyError(f"no definition of {name} in the C++ file")
    depth, end = 1, head.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(source[end], 0)
        end += 1
    return source[head.start() : end + (source[end : end + 1] == ";")]


def main() -> None:
    """Fill or check every chapter."""
    check, stale = "--check" in sys.argv[1:], []
    for chapter in sorted(DOCS.rglob("*.md")):
        before = chapter.read_text(encoding="utf-8")
        try:
            after = filled(before)
        except (KeyError, FileNotFoundError) as error:
            sys.exit(f"{chapter.relative_to(ROOT)}: {error.args[0]}")
        if after != before:
            stale.append(chapter.relative_to(ROOT))
            if not check:
                chapter.write_text(after, encoding="utf-8")
    if check and stale:
        sys.exit(f"stale code in {', '.join(map(str, stale))}; run python docs/code_blocks.py")


if __name__ == "__main__":
    main()
