"""Every mode of picture becomes the RGB that its pixels mean; damaged ones are refused by name."""

import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fasterfpn.data.images import is_image, read_header, read_image
from fasterfpn.errors import InputError

GREY = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)
RGB = np.stack([GREY, 255 - GREY, GREY // 3], axis=-1)
ALPHA = np.array([[0, 255, 9], [0, 128, 255]], dtype=np.uint8)


def stored(path, image, **options):
    """What `read_image` makes of a saved picture, channels last; its size must be what the header says."""
    image.save(path, **options)
    pixels = read_image(path)
    assert pixels.dtype == torch.uint8 and pixels.is_contiguous()
    assert tuple(pixels.shape) == (3, *read_header(path).size)
    return pixels.permute(1, 2, 0).numpy()


def spread(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def test_eight_bit_modes(tmp_path):
    rgb, grey = Image.fromarray(RGB), Image.fromarray(GREY)
    assert np.array_equal(stored(tmp_path / "rgb.png", rgb), RGB)
    assert np.array_equal(stored(tmp_path / "l.png", grey), spread(GREY))
    bits = Image.fromarray((GREY > 100).astype(np.uint8) * 255).convert("1")
    assert np.array_equal(stored(tmp_path / "1.png", bits), spread((GREY > 100).astype(np.uint8) * 255))
    cmyk = stored(tmp_path / "cmyk.tif", Image.fromarray(np.dstack([255 - RGB, np.zeros_like(GREY)]), mode="CMYK"))
    assert np.array_equal(cmyk, RGB)


def test_transparency_is_dropped_and_colours_kept(tmp_path):
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    assert np.array_equal(stored(tmp_path / "rgba.png", rgba), RGB)
    la = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    assert np.array_equal(stored(tmp_path / "la.png", la), spread(GREY))


@pytest.mark.filterwarnings("error")
def test_palettes(tmp_path):
    palette = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3), mode="P")
    palette.putpalette(RGB.reshape(-1).tolist())
    assert np.array_equal(stored(tmp_path / "p.png", palette), RGB)
    assert np.array_equal(stored(tmp_path / "clear.png", palette, transparency=bytes([0, 9, 255])), RGB)
    assert np.array_equal(stored(tmp_path / "p.bmp", palette), RGB)


@given(st.lists(st.integers(0, 65535), min_size=6, max_size=6))
def test_16_bit_is_scaled_to_the_nearest_of_8(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "deep.png"
    deep = np.array(values, dtype=np.uint16).reshape(2, 3)
    expected = np.floor(deep / 257 + 0.5).astype(np.uint8)
    assert np.array_equal(stored(path, Image.fromarray(deep)), spread(expected))


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4"])
def test_16_bit_of_either_byte_order_and_wider_integers(tmp_path, dtype):
    deep = np.array([[0, 257, 514], [32896, 65278, 65535]]).astype(dtype)
    assert np.array_equal(stored(tmp_path / "deep.tif", Image.fromarray(deep)), spread((deep // 257).astype(np.uint8)))


def test_values_without_an_agreed_range_are_refused(tmp_path):
    for name, pixels in {"float": GREY.astype(np.float32), "wide": GREY.astype(np.int32) * 1000}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.tif")
        with pytest.raises(InputError, match=rf"{name}\.tif: .*save it with 8 or 16 bits"):
            read_image(tmp_path / f"{name}.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    """The tag says where row 0 and column 0 of the stored picture are shown; the table is that of the EXIF standard."""
    shown = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }[orientation]
    blocks = np.kron(GREY, np.full((16, 16), 1, dtype=np.uint8))  # large flat areas: JPEG keeps them
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = stored(tmp_path / f"turned.{suffix}", Image.fromarray(spread(blocks)), exif=exif)
    assert np.abs(pixels.astype(int) - shown(spread(blocks))).max() <= 3


@pytest.mark.parametrize("name", ["a.JPG", "a.Jpeg", "a.PNG", "a.bmp", "a.TIF", "a.tiff"])
def test_extensions_in_any_case(tmp_path, name):
    assert is_image(tmp_path / name)
    assert stored(tmp_path / name, Image.fromarray(RGB)).shape == (2, 3, 3)


def test_other_files_are_no_images(tmp_path):
    assert not any(is_image(tmp_path / name) for name in ("a.xml", "._a.jpg", "a.jpg.txt", "jpg"))


def refused(path):
    """The message of `read_image`, which must be one line that names the file."""
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_missing_empty_and_misnamed_files_are_refused(tmp_path):
    assert "no such image" in refused(tmp_path / "absent.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not an image")
    Image.fromarray(RGB).save(tmp_path / "other.jpg", format="TGA")
    (tmp_path / "folder.png").mkdir()
    for name in ("empty.jpg", "text.png", "other.jpg", "folder.png"):
        assert "does not decode" in refused(tmp_path / name)
        with pytest.raises(InputError, match=name):
            read_header(tmp_path / name)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
def test_truncated_files_are_refused_though_their_header_reads(make, tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    make.image(path, (40, 60))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert "does not decode" in refused(path)


@given(st.data())
def test_damage_is_refused_or_harmless_never_another_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / f"damaged.{data.draw(st.sampled_from(['jpg', 'png', 'bmp', 'tif']))}"
    Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), dtype=np.uint8))).save(path)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    for read in (read_image, read_header):
        try:
            read(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 2_000, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))
    assert "more than 89,478,485 pixels" in refused(path)
    with pytest.raises(InputError, match="scale it down or cut it"):
        read_header(path)


def test_the_size_of_a_png_is_read_without_decoding_it(make, tmp_path):
    make.image(tmp_path / "cut.png", (40, 60))
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[:200])
    assert read_header(tmp_path / "cut.png").size == (40, 60)
