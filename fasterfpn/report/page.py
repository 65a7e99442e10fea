"""A page that holds all that it shows: sections of tables, charts and photographs, set by the template page.html.

Style and pictures lie inside; there is no script, and nothing is fetched from elsewhere. All text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from PIL import Image


@dataclass(frozen=True)
class Block:
    """A table, a chart or a group of photographs, with a label ("Figure 10", or "" for none) and a caption."""

    label: str
    caption: str


@dataclass(frozen=True)
class TableBlock(Block):
    """A table of text; the first row is the heading."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ChartBlock(Block):
    """A chart; `drawing` is a `data:` address."""

    drawing: str


@dataclass(frozen=True)
class PicturesBlock(Block):
    """Pictures side by side, each a `data:` address and the line of text under it."""

    pictures: Sequence[tuple[str, str]]
    cell: str
    """The least width of a picture, in CSS; as many stand beside each other as fit."""


@dataclass
class Section:
    """A heading and what stands under it. A section without blocks is not shown."""

    heading: str
    labelled: bool = True
    """Whether its blocks show their labels."""
    blocks: list[Block] = field(default_factory=list)

    def table(self, rows: Sequence[Sequence[str]], label: str, caption: str) -> None:
        """Add a table; a heading without rows is left out."""
        if len(rows) > 1:
            self.blocks.append(TableBlock(self._label(label), caption, rows))

    def chart(self, figure: Figure, label: str, caption: str) -> None:
        """Add a drawing, as SVG whose letters are outlines."""
        buffer = BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        self.blocks.append(ChartBlock(self._label(label), caption, _address(buffer, "image/svg+xml")))

    def photographs(
        self, pictures: Sequence[tuple[Image.Image, str]], label: str, caption: str, cell: str = "11rem"
    ) -> None:
        """Add photographs with a line of text under each; an empty group is left out."""
        if pictures:
            sources = [(_jpeg(picture), text) for picture, text in pictures]
            self.blocks.append(PicturesBlock(self._label(label), caption, sources, cell))

    def _label(self, label: str) -> str:
        return label if self.labelled else ""


def page_html(title: str, notes: Sequence[str], sections: Sequence[Section]) -> str:
    """The page as HTML: the title, a paragraph for each note, and the sections."""
    environment = Environment(
        loader=PackageLoader("fasterfpn.report", "."), autoescape=True, keep_trailing_newline=True
    )
    return environment.get_template("page.html").render(title=title, notes=notes, sections=sections)


def _jpeg(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, format="JPEG", quality=82)
    return _address(buffer, "image/jpeg")


def _address(content: BytesIO, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
