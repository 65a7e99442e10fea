"""Finds fonts for class names in pictures and charts, in any script.

If no font on this machine has all characters of a name, `anyascii` spells the name in ASCII ("划痕" becomes "HuaHen"),
and `spelled_otherwise` says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from anyascii import anyascii
from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

LONGEST = 40  # characters of a name; longer names lose their middle
PLAIN = "DejaVu Sans"  # comes with matplotlib: Latin, Greek, Cyrillic


def shown(text: str) -> str:
    """`text` as pictures and charts show it: one line, at most 40 characters, in ASCII if no font here has them all."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if _font(text) is None:
        text = " ".join(anyascii(text).split()) or ascii(text)
    half = (LONGEST - 1) // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"


def picture_font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A Pillow font of `size` pixels that has the characters of `text`; for ASCII, Pillow's default."""
    font = None if text.isascii() else _font(text)
    return ImageFont.load_default(size) if font is None else ImageFont.truetype(font.fname, size)


def chart_families(texts: Iterable[str]) -> list[str]:
    """Font families for matplotlib, which takes each character from the first one that has it."""
    fonts = [_font(shown(text)) for text in texts]
    return list(dict.fromkeys([PLAIN, *(font.name for font in fonts if font is not None)]))


def spelled_otherwise(names: Iterable[str]) -> list[str]:
    """One sentence, in a list, on the names that no font on this machine can show; an empty list if there are none."""
    pairs = [f"{name} as {shown(name)}" for name in names if _font(" ".join(name.split())) is None]
    if not pairs:
        return []
    return [f"No font on this machine has all characters of these names; pictures and charts show {', '.join(pairs)}."]


@cache
def _font(text: str) -> FontEntry | None:
    """The first font with every character of `text`, trying DejaVu Sans first."""
    wanted = {ord(sign) for sign in text if not sign.isspace()}
    return next((font for font in _fonts() if wanted <= _characters(font.fname)), None)


@cache
def _fonts() -> list[FontEntry]:
    """One upright, regular-weight font per family, DejaVu Sans first; not LastResort, which has only placeholders."""
    upright = [font for font in fontManager.ttflist if font.style == "normal" and font.weight == 400]
    real = [font for font in upright if not font.name.replace(" ", "").strip(".").lower().startswith("lastresort")]
    families = {font.name: font for font in sorted(real, key=lambda font: str(font.fname))}
    return sorted(families.values(), key=lambda font: (font.name != PLAIN, font.name))


@cache
def _characters(path: str) -> frozenset[int]:
    """The code points that a font file has; none if the file cannot be read or has bitmaps only."""
    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
