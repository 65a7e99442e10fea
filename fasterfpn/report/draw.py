"""Draws detections as in the paper's figure 12: green boxes, with class and score at the upper left corner.

D detections; boxes (D, 4) x1 y1 x2 y2 in pixels of the image. Class names are drawn as `lettering.shown` gives them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fasterfpn.report.lettering import picture_font, shown

GREEN, BLACK = (0, 255, 0), (0, 0, 0)
SMALLEST_TYPE = 10  # pixels; smaller is hard to read


def draw_detections(
    image: Tensor | Image.Image, boxes: Tensor, labels: Sequence[str], scores: Sequence[float] | Tensor
) -> Image.Image:
    """A new RGB picture of `image` ((3, H, W) float in 0..1, or Pillow's) with its detections, the best one on top.

    boxes (D, 4), class names and scores (D,). Lines are drawn around the boxes, not over them, and within the image.
    Larger images get larger type. A label is above its box's upper left corner, or inside the box if there is no room
    above, and is never cut. An image that is too small for legible labels is first enlarged by a whole factor.
    """
    picture = image.convert("RGB") if isinstance(image, Image.Image) else to_picture(image)
    texts = [f"{shown(label)} {score:.2f}" for label, score in zip(labels, map(float, scores), strict=True)]
    size, factor = type_size(picture.size, texts)
    picture = picture.resize((picture.width * factor, picture.height * factor))
    canvas = ImageDraw.Draw(picture)
    best_last = sorted(range(len(texts)), key=lambda d: float(scores[d]))
    for d in best_last:
        x1, y1, x2, y2 = (boxes[d] * factor).tolist()
        line = max(1, size // 6)
        corner = max(0, round(x1) - line), max(0, round(y1) - line)
        opposite = min(picture.width, round(x2) + line) - 1, min(picture.height, round(y2) + line) - 1
        canvas.rectangle((corner, opposite), outline=GREEN, width=line)
        draw_label(canvas, corner, texts[d], picture_font(texts[d], size), picture.size)
    return picture


def to_picture(image: Tensor) -> Image.Image:
    """(3, H, W) float in 0..1 as an 8-bit RGB picture; values outside are clipped."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def label_size(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Width and height in pixels of a label: its text, and one pixel on the left and on the right."""
    ascent, descent = font.getmetrics()
    return math.ceil(font.getlength(text)) + 2, ascent + descent


def draw_label(
    canvas: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    font: ImageFont.FreeTypeFont,
    image_size: tuple[int, int],
) -> None:
    """Draw black text on green above `corner` (x, y), moved left or down where it would leave the image (W, H)."""
    width, height = label_size(text, font)
    x = min(corner[0], image_size[0] - width)
    y = corner[1] - height if corner[1] >= height else min(corner[1], image_size[1] - height)
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=GREEN)
    canvas.text((x + 1, y), text, fill=BLACK, font=font)


def type_size(image_size: tuple[int, int], texts: Sequence[str]) -> tuple[int, int]:
    """Type size in pixels, and the factor by which to enlarge an image of (W, H) so that every label fits into it.

    The size is 1/40 of the shorter side and at least 12; or less, but at least 10, if the longest label does not fit.
    """
    size = max(12, min(image_size) // 40)
    while (factor := enlargement(image_size, texts, size)) > 1 and size > SMALLEST_TYPE:
        size -= 1
    return size, factor


def enlargement(image_size: tuple[int, int], texts: Sequence[str], size: int) -> int:
    """The least whole factor by which to enlarge an image of (W, H) so that all labels in type of `size` fit."""
    labels = [label_size(text, picture_font(text, size)) for text in texts]
    return max((math.ceil(max(w / image_size[0], h / image_size[1])) for w, h in labels), default=1)
