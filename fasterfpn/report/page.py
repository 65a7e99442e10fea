"""Makes a page of sections with tables, charts and pictures, from the template page.html.

The page is one file: style and pictures are inside, and nothing is loaded from elsewhere. All text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from PIL import Image


@dataclass
class Section:
    """A heading and its blocks, each with a caption and a label such as "Figure 10". Without blocks it is not shown."""

    heading: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    """The fields that page.html shows."""

    def table(self, rows: Sequence[Sequence[str]], label: str, caption: str) -> None:
        """Add a table; a heading without rows is left out."""
        if len(rows) > 1:
            self.blocks.append({"label": label, "caption": caption, "rows": rows})

    def chart(self, figure: Figure, label: str, caption: str) -> None:
        """Add a chart, as SVG whose letters are outlines."""
        buffer = BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        self.blocks.append({"label": label, "caption": caption, "chart": _address(buffer, "image/svg+xml")})

    def pictures(
        self, pictures: Sequence[tuple[Image.Image, str]], label: str, caption: str, cell: str = "11rem"
    ) -> None:
        """Add pictures with a line of text under each; an empty group is left out. A row holds as many pictures as fit
        with a width of `cell` (CSS) or more."""
        if pictures:
            sources = [(_jpeg(picture), text) for picture, text in pictures]
            self.blocks.append({"label": label, "caption": caption, "pictures": sources, "cell": cell})


def page_html(title: str, notes: Sequence[str], sections: Sequence[Section], labelled: bool) -> str:
    """The page as HTML: the title, a paragraph for each note, and the sections; `labelled`: with the blocks' labels."""
    environment = Environment(
        loader=PackageLoader("fasterfpn.report", "."), autoescape=True, keep_trailing_newline=True
    )
    template = environment.get_template("page.html")
    return template.render(title=title, notes=notes, sections=sections, labelled=labelled)


def _jpeg(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, format="JPEG", quality=82)
    return _address(buffer, "image/jpeg")


def _address(content: BytesIO, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
