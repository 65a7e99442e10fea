"""A page of HTML that holds all it shows: style and pictures inside, no script, nothing fetched from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO

from matplotlib.figure import Figure
from PIL import Image

STYLE = """
body { font: 17px/1.55 Georgia, 'DejaVu Serif', serif; color: #222; background: #fff; max-width: 62rem;
  margin: 0 auto; padding: 1rem; }
h1, h2, th, figcaption b { font-family: 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; line-height: 1.25; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
figure { margin: 1.5rem 0; } figcaption, small { font-size: .9rem; color: #444; }
img { max-width: 100%; height: auto; display: block; }
.grid { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fill, minmax(min(var(--cell), 100%), 1fr)); }
.grid div { font-size: .82rem; line-height: 1.3; } .grid img { width: 100%; }
.wide { overflow-x: auto; } .chart img { width: 100%; min-width: 34rem; }
table { border-collapse: collapse; font-size: .92rem; margin-bottom: .5rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; white-space: normal; vertical-align: bottom; }
"""


class Page:
    """Collects a page from top to bottom; `html()` gives it. All text is escaped."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> None:
        self.parts.append(f"<p>{escape(text)}</p>")

    def chart(self, figure: Figure, name: str, caption: str) -> None:
        """A drawing, with its name ("Figure 10") and one sentence under it."""
        buffer = BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        image = _image(buffer.getvalue(), "image/svg+xml", caption)
        self._figure(f'<div class="wide chart">{image}</div>', name, caption)

    def pictures(
        self, pictures: Sequence[tuple[Image.Image, str]], name: str, caption: str, cell: str = "11rem"
    ) -> None:
        """Photographs with a line under each, as many beside each other as fit when each is `cell` wide."""
        inner = "".join(
            f"<div>{_image(_jpeg(picture), 'image/jpeg', text or caption)}{escape(text)}</div>"
            for picture, text in pictures
        )
        self._figure(f'<div class="grid" style="--cell: {cell}">{inner}</div>', name, caption)

    def table(self, rows: Sequence[Sequence[str]], name: str, caption: str) -> None:
        """The first of `rows` is the header; an empty cell stays empty."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
        table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        self._figure(table, name, caption)

    def html(self) -> str:
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<link rel="icon" href="data:,"><title>{escape(self.title)}</title>\n'
            f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(self.parts) + "\n</body></html>\n"
        )

    def _figure(self, inner: str, name: str, caption: str) -> None:
        label = f"<b>{escape(name)}.</b> " if name else ""
        self.parts.append(f"<figure>{inner}<figcaption>{label}{escape(caption)}</figcaption></figure>")


def _jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, format="JPEG", quality=82)
    return buffer.getvalue()


def _image(content: bytes, kind: str, text: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    return f'<img alt="{escape(text)}" src="data:{kind};base64,{data}">'
