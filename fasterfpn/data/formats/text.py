"""Reads text in the encodings of annotation tools: UTF-8, UTF-16, what an XML file declares, and undeclared GBK."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

from fasterfpn.errors import InputError

LIMIT = 1 << 26  # bytes: no list of names and no annotation of one image is longer
MARKS = {  # how a file begins: a byte order mark, or "<" in two bytes
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}  # what such files hold


def comparable(name: str) -> str:
    """A file name in a form to compare: case-folded, and with composed accents (macOS stores é as e and an accent)."""
    return unicodedata.normalize("NFC", name).casefold()


def read_text(path: Path) -> tuple[str, str]:
    """The text of a file, and the encoding if it had to be guessed, else "".

    A byte order mark decides, then an XML declaration, then UTF-8. A file that is none of these is taken as GB18030,
    which includes GBK and GB2312, else as Latin-1. Raises InputError if it cannot be read or is larger than LIMIT.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: cannot be read (no file); remove it, or put a file there")
        if path.stat().st_size > LIMIT:
            raise InputError(f"{path}: larger than {LIMIT >> 20} MiB, too large for an annotation; remove it")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from error
    return decode(content)


def decode(content: bytes) -> tuple[str, str]:
    """The text of these bytes, and the encoding if it had to be guessed, else ""; see `read_text`."""
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), ""
    declared = DECLARED.match(content)
    # A declaration that reads as ASCII is not in UTF-16, whatever it says.
    known = declared[1].decode() if declared and not declared[1].lower().startswith(b"utf-16") else "utf-8"
    for encoding, guessed in ((known, ""), ("utf-8", ""), ("gb18030", "gb18030")):
        try:
            return content.decode(SUPERSETS.get(codecs.lookup(encoding).name, encoding)), guessed
        except (UnicodeError, LookupError):
            continue
    return content.decode("latin-1"), "latin-1"
