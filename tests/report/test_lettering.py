"""Class names in pictures and charts: no name, whatever its characters, leaves an empty square or a warning."""

import warnings
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rc_context
from PIL import Image, ImageDraw

from fasterfpn.report import lettering
from fasterfpn.report.charts import class_counts
from fasterfpn.report.draw import draw_detections
from fasterfpn.report.lettering import LONGEST, chart_families, picture_font, shown, spelled_otherwise

NAMES = ["划痕", "キズ", "ขีดข่วน", "царапина", "Kratzer außen", "\ue000", "a\nb\tc", "", "x" * 200, "🔧", "ab\u200bc"]


@pytest.fixture
def dejavu_alone(monkeypatch):
    """A machine whose only font is the one that matplotlib brings."""
    everything = lettering._fonts()
    only = [font for font in everything if font.name == lettering.PLAIN]
    lettering._font.cache_clear()
    monkeypatch.setattr(lettering, "_fonts", lambda: only)
    yield
    lettering._font.cache_clear()


def drawn(text, size=20):
    """A text as Pillow draws it."""
    picture = Image.new("L", (900, 40))
    ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=picture_font(text, size))
    return np.asarray(picture)


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_what_is_shown_is_a_short_line_that_a_font_has(name):
    text = shown(name)
    assert text.isprintable() and len(text) <= LONGEST
    assert text.isascii() or lettering._font(text) is not None
    assert shown(text) == text


def test_names_that_no_font_has_are_spelled_in_latin_letters_and_that_is_said(dejavu_alone):
    assert [shown(name) for name in ("划痕", "царапина", "Öl")] == ["HuaHen", "царапина", "Öl"]
    assert spelled_otherwise(["царапина", "scratch"]) == []
    (sentence,) = spelled_otherwise(["划痕", "scratch"])
    assert "划痕 as HuaHen" in sentence and "scratch" not in sentence


def test_a_font_that_has_the_characters_is_used():
    """Characters that DejaVu Sans lacks and another font of matplotlib's has."""
    by_name = {font.name: lettering._characters(font.fname) for font in lettering._fonts()}
    sign = chr(max(by_name["STIXGeneral"] - by_name[lettering.PLAIN] - {0xFFFF}))
    if lettering._font(sign) is None or not sign.isprintable():
        pytest.skip("no such character")
    assert shown(sign) == sign and spelled_otherwise([sign]) == []
    assert len(chart_families([sign])) == 2 and drawn(sign).any()


@pytest.mark.parametrize("name", NAMES)
def test_no_name_disturbs_a_chart_or_a_picture(name, dejavu_alone):
    counts = {part: {"images_by_class": {name: 1, "dent": 2}} for part in ("train", "val", "test")}
    with warnings.catch_warnings(), rc_context({"font.family": chart_families([name])}):
        warnings.simplefilter("error")
        class_counts(counts).savefig(BytesIO(), format="svg")
    picture = draw_detections(torch.zeros(3, 300, 400), torch.tensor([[10.0, 50, 60, 90]]), [name], [0.5])
    assert picture.size == (400, 300)


def test_different_characters_give_different_pictures(dejavu_alone):
    assert not np.array_equal(drawn(shown("划痕")), drawn(shown("凹坑")))
    assert not np.array_equal(drawn(shown("царапина")), drawn(shown("вмятина")))
