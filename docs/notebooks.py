"""Writes each chapter that has cells as a notebook beside it: `python docs/notebooks.py [--address REPOSITORY]`.

In docs/ a notebook finds its pictures and imports. With an address its first cell fetches and installs the repository,
as a hosted notebook needs it, and changes there. What the cells say is left out: a learner's own run shows it.
"""

from __future__ import annotations

import argparse
import json
import re

import cells
from code_blocks import DOCS

CELL = re.compile(rf"^{re.escape(cells.FENCE)}\n((?::[^\n]*\n)*)(.*?)^```\n", re.M | re.S)
COMMENT = re.compile(r"^<!--.*?-->\n", re.M | re.S)


def notebook(chapter: str, setup: str = "") -> dict:
    """Return a chapter as a notebook of format 4.5 that begins with the cell `setup`, where that is given."""
    parts = CELL.split(COMMENT.sub("", cells.without_claims(chapter)))  # text, options, code, text, ...
    kinds = [("code", setup)] if setup else []
    for i, part in enumerate(parts):
        if part.strip() and i % 3 != 1:
            kinds.append(("markdown" if i % 3 == 0 else "code", part.strip()))
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"id": f"cell-{i}", "cell_type": kind, "metadata": {}, "source": source}
            | ({"execution_count": None, "outputs": []} if kind == "code" else {})
            for i, (kind, source) in enumerate(kinds)
        ],
    }


def main() -> None:
    """Write the notebooks."""
    parser = argparse.ArgumentParser(description="Write each chapter that has cells as a notebook beside it.")
    parser.add_argument("--address", help="of the repository, for a hosted notebook to fetch")
    address = parser.parse_args().address
    setup = f"!git clone -q {address} fasterfpn && pip install -q -e fasterfpn\n%cd fasterfpn/docs" if address else ""
    for chapter in cells.chapters():
        if chapter.parent == DOCS:
            text = json.dumps(notebook(chapter.read_text(encoding="utf-8"), setup), indent=1, ensure_ascii=False)
            chapter.with_suffix(".ipynb").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
