"""The interactive figures in headless Chromium: each stands, follows mouse, touch and keyboard, and fits a phone."""

import os

import pytest
from browser import CHROMIUM, Browser
from extensions import interactive
from links import DOCS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="drives the figures in chromium"),
]
SCRIPTS = DOCS / "static" / "figures"
PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="{folder}/figures.css"><body>
<div class="interactive" data-figure="{name}"></div><p id="still"><img alt="still"></p>{scripts}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def show(browser, tmp_path):
    """Open a page with one figure; afterwards, the page has thrown nothing."""

    def opened(name, **how):
        folder = SCRIPTS.as_uri()
        scripts = "".join(f'<script defer src="{folder}/{script}.js"></script>' for script in interactive.SCRIPTS[name])
        file = tmp_path / "page.html"
        file.write_text(PAGE.format(folder=folder, name=name, scripts=scripts), encoding="utf-8")
        browser.open(file.as_uri(), **how)
        return browser

    browser.errors.clear()
    yield opened
    assert browser.errors == []


@pytest.mark.parametrize("name", interactive.SCRIPTS)
def test_every_figure_takes_the_place_of_its_still_picture_and_fits_a_phone(show, name):
    page = show(name, width=360, height=740)
    assert page.run("document.querySelector('#still').hidden")
    assert page.run("document.querySelectorAll('.interactive .stage, .interactive canvas').length") >= 1
    assert page.run("document.documentElement.scrollWidth") <= 360


def test_iou_is_dragged_by_mouse_and_finger_and_moved_by_keys(show):
    b = ".box:nth-of-type(2)"
    page = show("iou", width=800)
    square = page.run("document.querySelector('.stage').getBoundingClientRect().width") / 16
    assert page.text(".result") == "IoU = 8 / 24 = 0.333"
    page.drag(f"{b} .body", square, 0)
    assert page.text(".result") == "IoU = 4 / 28 = 0.143"
    page.drag(f"{b} .body", -square, 0, touch=True)
    assert page.text(".result") == "IoU = 8 / 24 = 0.333"
    page.press(b, "ArrowLeft", 2)
    assert page.text(".result") == "IoU = 16 / 16 = 1.000"
    page.press(b, "ArrowUp", 2, shift=True)
    assert page.text(".result") == "IoU = 8 / 16 = 0.500"
    page.drag(f"{b} .corner:nth-of-type(4)", 2 * square, 2 * square)  # the third corner; the first g is the name
    assert page.text(".result") == "IoU = 16 / 24 = 0.667"


def test_nms_follows_its_sliders_its_buttons_and_a_dragged_box(show):
    page = show("nms", width=800)
    assert page.text(".result") == "A is the best of the rest: kept. It strikes out B (0.74)."
    page.press(".interactive [type=range]", "ArrowLeft", 20)
    assert page.text(".result") == "A is the best of the rest: kept. It strikes out B (0.74), C (0.54)."
    assert page.run("document.querySelectorAll('.head').length") == 2
    page.click(".tools:last-of-type button:nth-of-type(2)")
    assert page.text(".result") == "D is the best of the rest: kept. It strikes out none."
    page.press(".box", "ArrowLeft", 60)
    assert "2 of 4 are kept: A, B." in page.text(".result + p")
    page.click(".tools button:nth-of-type(2)")
    assert page.text(".result").startswith("A is the best of the rest: kept. It strikes out")


def test_average_precision_follows_presses_drags_and_arrow_keys(show):
    card = ".cards button:nth-of-type({})"
    page = show("average_precision", width=800)
    assert page.text(".result") == "AP: area 0.756, eleven points 0.764"
    page.click(card.format(2))
    assert page.text(".result").startswith("AP: area 0.950 (was 0.756)")
    page.press(card.format(2), "Enter")
    assert page.text(".result").startswith("AP: area 0.756 (was 0.950), eleven points 0.764")
    page.press(card.format(3), "ArrowLeft")
    assert page.text(".cards") == "1 ✓3 ✓2 ✗4 ✗5 ✓"
    assert page.text(".result") == "AP: area 0.867 (was 0.756), eleven points 0.855 (was 0.764)"
    [left, _], [right, _] = (page.middle(card.format(rank)) for rank in (3, 2))
    page.drag(card.format(2), left - right, 0)
    assert page.text(".cards") == "1 ✓2 ✗3 ✓4 ✗5 ✓"
    page.drag(card.format(3), right - left, 0, touch=True)
    assert page.text(".cards") == "1 ✓3 ✓2 ✗4 ✗5 ✓"
    page.click(".tools:nth-of-type(2) button")
    assert page.text(".result") == "AP: area 0.867, eleven points 0.855"  # a last false alarm costs nothing


def test_anchors_follow_their_sliders_the_rule_and_a_dragged_defect(show):
    page = show("anchors", width=800)
    assert page.text(".result") == "Of this kind: 3 objects, 34 ignored, 4,763 background"
    assert page.text(".result + p + p") == (
        "Of the network's fifteen kinds: 3 objects, 452 ignored, 306,445 background"
    )
    page.click(".tools:nth-of-type(2) button")
    assert page.text(".result") == "Of this kind: 0 objects, 35 ignored, 4,765 background"
    assert "kinds: 0 objects, 454 ignored" in page.text(".result + p + p")
    page.press(".slider input", "ArrowLeft", 2)
    assert page.text(".slider output") == "P2" and page.text(".slider:nth-of-type(2) output") == "32²"
    page.press(".slider:nth-of-type(3) input", "ArrowLeft", 8)
    page.press(".slider:nth-of-type(2) input", "ArrowRight", 21)
    assert page.text(".slider:nth-of-type(3) output") == "1 : 32" and "116²" in page.text(".slider:nth-of-type(2)")
    objects = int(page.text(".result").split()[3])
    assert objects > 0 and page.run("document.querySelectorAll('.outlines rect').length") == min(objects, 40)
    before = page.text(".result + p")
    page.drag(".box:nth-of-type(3) .tag", 40, -30)  # the crater; the outlines are the first group
    page.drag(".box:nth-of-type(4) .tag", -40, -30, touch=True)
    page.press(".box:nth-of-type(2)", "ArrowDown", 2, shift=True)
    assert page.text(".result + p") != before
    page.click(".tools:nth-of-type(2) button:nth-of-type(2)")
    assert page.text(".result + p") == before


def test_pooling_follows_the_proposal_the_chosen_bin_and_the_feature(show):
    page = show("pooling", width=800)
    assert page.text(".result") == "P2, stride 4: 125 × 81 pixels, √(wh) = 100.6"
    assert "cells 113, 139, 144, 159: 32 × 21 cells" in page.text(".result + p")
    assert page.text(".pair + p").startswith("Bin of row 0, column 0: cell rows 139..141, columns 113..117; maximum")
    page.press(".pair .stage:last-child", "ArrowRight", 2)
    assert page.text(".pair + p").startswith("Bin of row 0, column 2: cell rows 139..141, columns 122..126; maximum")
    page.click(".square:nth-of-type(15)")
    assert page.text(".pair + p").startswith("Bin of row 2, column 0: cell rows 145..147, columns 113..117; maximum")
    page.click(".tools button")
    assert page.text(".result").startswith("P3, stride 8: 640 × 21 pixels")
    page.press(".box", "ArrowDown", 30, shift=True)
    assert page.text(".result").startswith("P3, stride 8: 640 × 51 pixels")
    page.drag(".box .corner:nth-of-type(4)", 0, 60)
    assert page.text(".result").startswith("P4, stride 16: 640 × ")
    before = page.text(".pair + p")
    page.drag(".box .body", 0, -60, touch=True)
    assert page.text(".result").startswith("P4, stride 16: 640 × ") and page.text(".pair + p") != before
    before = page.text(".pair .stage:last-child")
    page.click(".tools button:last-child")
    assert page.text(".tools button:last-child") == "feature: brightness"
    assert page.text(".pair .stage:last-child") != before
