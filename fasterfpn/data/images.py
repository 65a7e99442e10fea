"""Image files to tensors: every mode that a camera or an annotation tool writes becomes upright 8-bit RGB.

H, W: height and width in pixels of the image as shown, that is after its EXIF orientation.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from fasterfpn.errors import InputError

# Pillow reads more. Left out: what runs another program (EPS, WMF), what has no signature, so that damaged files of
# other kinds pass for it (TGA, PCX), and what holds icons, films or layers.
EXTENSIONS_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
if find_spec("PIL.AvifImagePlugin"):  # from Pillow 11.3 on
    EXTENSIONS_OF["AVIF"] = (".avif",)
FORMATS = tuple(EXTENSIONS_OF)
EXTENSIONS = tuple(suffix for suffixes in EXTENSIONS_OF.values() for suffix in suffixes)
EXPORT = "export it again as JPEG or PNG"


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before any pixel is decoded: (H, W) as shown, and the EXIF orientation 1 to 8.

    The orientation says how the pixels as stored become the image as shown; 5 to 8 exchange height and width.
    """

    size: tuple[int, int]
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """(H, W) of the pixels as stored."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def is_image(path: Path) -> bool:
    """Whether the name is that of an image, in any letter case. Hidden files (`._a.jpg` of macOS) are not images."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def suffix_by_content(path: Path) -> str:
    """The suffix under which `path` would be an image (".jpg"), by its first bytes; "" where they are of no image."""
    try:
        with _opened(path) as image:
            return EXTENSIONS_OF.get(image.format, (".jpg",))[0]  # Pillow calls some JPEGs MPO
    except InputError:
        return ""


def read_image(path: str | os.PathLike) -> Tensor:
    """The image as uint8 (3, H, W) RGB, turned as its EXIF orientation says; of several frames or pages, the first.

    Grey and palette images are spread to three channels; CMYK becomes RGB without a colour profile; 16-bit grey is
    scaled so that 65535 becomes 255 (a camera that fills 12 of the 16 bits gives a dark image). Transparency is
    dropped, not painted over, as OpenCV and `Image.convert("RGB")` do: the recorded colours stay.

    Raises InputError, naming the file, if it is missing, unreadable, damaged, truncated or of a kind that is not in
    `FORMATS`, if its values are floating point or beyond 16 bits, or if it has more than 89,478,485 pixels.
    """
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image) if _knows_orientation(image) else image
        return torch.from_numpy(_rgb(upright, path).transpose(2, 0, 1).copy())


def read_header(path: str | os.PathLike) -> Header:
    """Size and orientation of what `read_image` returns, without decoding it. Raises InputError likewise."""
    with _opened(path) as image:
        # Newer versions of Pillow turn a TIFF's size already, older ones do not: its tags are never turned.
        width, height = (image.tag_v2[256], image.tag_v2[257]) if image.format == "TIFF" else image.size
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if _knows_orientation(image) else 1
        if orientation not in range(1, 9):
            orientation = 1
        return Header((width, height) if orientation >= 5 else (height, width), orientation)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
    """The open image; whatever goes wrong with it inside the `with` block becomes an InputError."""
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such image; check the path")
    if os.path.exists(path) and not os.path.isfile(path):  # a folder, or a pipe that would never end
        raise InputError(f"{path}: does not decode (it is no file); give an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as a damaged EXIF tag that is not needed
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down or cut it into pieces, "
            "and its annotation with it"
        ) from None
    except Exception as error:  # Pillow's decoders raise SyntaxError, struct.error, ValueError, ... on damaged files
        if isinstance(error, OSError) and error.strerror:  # the operating system's: permissions, links, disks
            raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from error
        reason = " ".join(str(error).replace(f"{str(path)!r}", "it").split())
        if os.path.getsize(path) == 0:
            reason = "the file is empty"
        raise InputError(f"{path}: does not decode ({reason}); {EXPORT}, or remove it") from error


def _knows_orientation(image: Image.Image) -> bool:
    """Whether the header may hold an orientation. Pillow decodes a whole PNG in search of a block that is not ahead."""
    return image.format != "PNG" or "exif" in image.info


def _rgb(image: Image.Image, path: str | os.PathLike) -> np.ndarray:
    """uint8 (H, W, 3)."""
    if image.mode == "F":
        raise InputError(f"{path}: floating-point pixels have no agreed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # "I", "I;16", "I;16B", ...: Pillow's convert() would clip at 255
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise InputError(f"{path}: pixels outside 0..65535; save it with 8 or 16 bits")
        return np.repeat(((grey * 255 + 32767) // 65535).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette with transparency goes through here without complaint
    return np.asarray(image.convert("RGB"))
