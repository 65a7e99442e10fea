"""Draws a sheet of small pictures in rows, each with its boxes and its name (the paper's figure 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from fasterfpn.report.lettering import picture_font, shown

RED, BLACK, WHITE = (230, 20, 20), (0, 0, 0), (255, 255, 255)


def contact_sheet(
    examples: Sequence[tuple[Image.Image, np.ndarray | Sequence[Sequence[float]], str]],
    columns: int = 5,
    tile: tuple[int, int] = (400, 300),
) -> Image.Image:
    """Examples are pictures, their boxes (N, 4) x1 y1 x2 y2 in pixels, and names; all are resized to `tile` (W, H)."""
    (width, height), margin, line = tile, 16, 34
    rows = -(-len(examples) // columns)
    sheet = Image.new("RGB", (columns * (width + margin) + margin, rows * (height + line + margin) + margin), WHITE)
    canvas = ImageDraw.Draw(sheet)
    for place, (picture, boxes, name) in enumerate(examples):
        left = margin + place % columns * (width + margin)
        top = margin + place // columns * (height + line + margin)
        sheet.paste(picture.resize(tile, Image.Resampling.LANCZOS), (left, top))
        scale = np.tile([width / picture.width, height / picture.height], 2)
        for x1, y1, x2, y2 in np.asarray(boxes).reshape(-1, 4) * scale:
            corners = max(x1 - 2, 0), max(y1 - 2, 0), min(x2 + 2, width) - 1, min(y2 + 2, height) - 1
            canvas.rectangle((np.array(corners) + np.tile([left, top], 2)).tolist(), outline=RED, width=2)
        name = shown(name)
        font = picture_font(name, 22)
        middle = left + (width - font.getlength(name)) / 2
        canvas.text((middle, top + height + 4), name, fill=BLACK, font=font)
    return sheet
