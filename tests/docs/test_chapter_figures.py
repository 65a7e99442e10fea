"""Every figure of the chapters draws, every picture that a page shows is there and small, and none lies unused."""

from importlib import import_module

import pytest
from figures.draw import HERE, IMAGES, LARGEST, draw
from links import DOCS, links_of, pages

MODULES = [module.stem for module in sorted(HERE.glob("chapter_*.py"))]
SHOWN = {
    (page.parent / link.target).resolve(): page
    for page in pages()
    for link in links_of(page.read_text(encoding="utf-8"))
    if link.image
}


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_every_figure_draws(module, tmp_path):
    for name, function in import_module(f"figures.{module}").FIGURES.items():
        assert draw(name, function, tmp_path).stat().st_size > 0


@pytest.mark.parametrize("module", [name for name in MODULES if any(DOCS.glob(f"{name.removeprefix('chapter_')}*.md"))])
def test_every_figure_of_a_written_chapter_is_committed(module):
    assert {name for name in import_module(f"figures.{module}").FIGURES if not (IMAGES / name).exists()} == set()


def test_every_picture_that_is_shown_is_there_and_small():
    assert {str(picture) for picture in SHOWN if not picture.exists() or picture.stat().st_size > LARGEST} == set()


def test_every_committed_picture_is_shown():
    assert {str(picture.relative_to(DOCS)) for picture in IMAGES.iterdir() if picture not in SHOWN} == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_picture_says_in_words_what_it_shows(page):
    links = links_of(page.read_text(encoding="utf-8"))
    assert [link for link in links if link.image and len(link.text) < 20] == []
