"""Draws the figures of the chapters into docs/images: `python docs/figures/draw.py [NAME ...]`, all by default.

Each module `chapter_NN.py` beside this file has `FIGURES`: a function without arguments for each figure by its file
name. It returns a matplotlib figure (for a name in .svg) or a Pillow image (.png, .jpg).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "images"
LARGEST = 300_000  # bytes of a committed picture
STYLE = {"font.family": "DejaVu Sans", "font.size": 11, "svg.hashsalt": "fasterfpn", "svg.fonttype": "path"}


def all_figures() -> dict[str, Callable[[], Figure | Image.Image]]:
    """Return the drawing functions of all chapters by file name."""
    sys.path.insert(0, str(HERE.parent))
    figures: dict[str, Callable[[], Figure | Image.Image]] = {}
    for module in sorted(HERE.glob("chapter_*.py")):
        figures |= importlib.import_module(f"figures.{module.stem}").FIGURES
    return figures


def draw(name: str, function: Callable[[], Figure | Image.Image], folder: Path = IMAGES) -> Path:
    """Draw one figure. Raises ValueError where the file is too large for the repository."""
    path = folder / name
    with rc_context(STYLE):
        picture = function()
        if isinstance(picture, Figure):
            picture.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, facecolor="white")
        else:
            picture.save(path)
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path}: {path.stat().st_size} bytes; make it smaller than {LARGEST}")
    return path


if __name__ == "__main__":
    figures = all_figures()
    for name in sys.argv[1:] or figures:
        print(draw(name, figures[name]))
