"""Image files to tensors: every mode a camera or an annotation tool writes becomes 8-bit RGB, the right way up.

H, W height and width in pixels as the picture is shown, that is after its EXIF orientation.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from fasterfpn.errors import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
LYING_ORIENTATIONS = (5, 6, 7, 8)  # EXIF: those that exchange width and height


def is_image(path: Path) -> bool:
    """Whether the name is that of an image, in any letter case; hidden files (as macOS scatters: `._a.jpg`) are not."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def read_image(path: str | os.PathLike) -> Tensor:
    """The picture as uint8 (3, H, W) RGB, turned as its EXIF orientation says; of several frames or pages the first.

    Grey and palette pictures are spread to three channels; CMYK becomes RGB without a colour profile; 16-bit grey is
    scaled, 65535 to 255 (a camera that fills 12 of the 16 bits gives a dark picture). Transparency is dropped, not
    painted over, as OpenCV and `Image.convert("RGB")` do: the colours stay those that were recorded.

    Raises InputError, naming the file, if it is missing, damaged, truncated or not JPEG, PNG, BMP or TIFF, if its
    values are floating point or beyond 16 bits, or if it has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    with _opened(path) as image:
        turned = ImageOps.exif_transpose(image) if _knows_orientation(image) else image
        return torch.from_numpy(_rgb(turned, path).transpose(2, 0, 1).copy())


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """(H, W) of what `read_image` returns, from the header alone. Raises InputError as `read_image` does."""
    with _opened(path) as image:
        # A TIFF's size is turned already in newer versions of Pillow, not in older ones: its tags never are.
        width, height = (image.tag_v2[256], image.tag_v2[257]) if image.format == "TIFF" else image.size
        lying = _knows_orientation(image) and image.getexif().get(ExifTags.Base.Orientation) in LYING_ORIENTATIONS
        return (width, height) if lying else (height, width)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
    """The open image; whatever goes wrong with it inside the `with` block becomes an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as a damaged EXIF tag that nobody asks for
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such image; check the path") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; cut it into tiles, "
            "or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
        ) from None
    except Exception as error:  # Pillow's decoders raise SyntaxError, struct.error, ValueError, ... on damaged files
        reason = " ".join(str(error).replace(f"{str(path)!r}", "it").split())
        raise InputError(
            f"{path}: does not decode ({reason}); export it again as JPEG, PNG, BMP or TIFF, or remove it"
        ) from error


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
