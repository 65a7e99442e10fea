"""Label files in the encodings that tools write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opening import open_data

from fasterfpn.data.formats.text import decode, read_text
from fasterfpn.data.formats.voc import read_voc
from fasterfpn.errors import InputError


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_unicode_is_read_back(text, encoding):
    if encoding != "utf-8" or not text.startswith(("\ufeff", "<\0", "\0<")):
        assert decode(text.encode(encoding)) == (text, "")


@pytest.mark.parametrize(
    ("declared", "stored", "guessed"),
    [
        ("", "utf-8", ""),
        ("gb2312", "gbk", ""),
        ("GBK", "gbk", ""),
        ("gb18030", "gb18030", ""),
        ("big5", "big5", ""),
        ("utf-16", "utf-16", ""),
        ("utf-16", "utf-16-le", ""),
        ("utf-16", "utf-8", ""),
        ("utf-8", "utf-16", ""),
        ("", "gbk", "gb18030"),
        ("utf-8", "gbk", "gb18030"),
        ("no-such", "utf-8", ""),
        ("rot13", "utf-8", ""),
        ("undefined", "utf-8", ""),
        ("idna", "utf-8", ""),
    ],
)
def test_xml_in_any_encoding(make, tmp_path, declared, stored, guessed):
    heading = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    path = tmp_path / "a.xml"
    path.write_bytes((heading + make.xml([("擦花", (1, 1, 5, 5))])).encode(stored))
    labels = read_voc(path)
    assert labels.objects[0].name == "擦花"
    assert labels.remarks == ((f"in no known encoding, read as {guessed}",) if guessed else ())


def test_latin_1_is_the_last_resort_and_what_was_guessed_is_told(make, tmp_path):
    make.pair(tmp_path, "a")
    (tmp_path / "a.xml").write_bytes(make.xml([("rayé", (1, 1, 5, 5))]).encode("latin-1"))
    splits = open_data(tmp_path, validation_fraction=0, test_fraction=0)
    assert splits.train.classes == ("rayé",)
    assert "1 label file in no known encoding, read as latin-1 (a.xml)" in splits.report()


def test_what_is_no_file_or_too_long_is_refused(tmp_path):
    (tmp_path / "folder.xml").mkdir()
    (tmp_path / "loop.xml").symlink_to("loop.xml")
    with (tmp_path / "long.xml").open("wb") as file:
        file.truncate(1 << 27)
    for name, reason in (("folder", "no file"), ("loop", "no file"), ("long", "larger than 64 MiB")):
        with pytest.raises(InputError, match=reason):
            read_text(tmp_path / f"{name}.xml")
