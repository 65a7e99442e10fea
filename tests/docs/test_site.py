"""What the site makes of a page: chapters stay plain Markdown, and nothing but their text is changed on the way."""

import ast
import re

import pytest
from extensions import api, chapters
from links import DOCS, NUMBERED, pages, prose

CHAPTER = DOCS / "01_two_boxes.md"
ANSWER = DOCS / "answers/01.md"


@pytest.mark.parametrize("page", pages()[1:], ids=lambda page: str(page.relative_to(DOCS)))
def test_pages_have_no_front_matter_and_keep_their_prose(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    site = chapters.for_site(text, page)
    assert [heading for heading in re.findall(r"^#+ .*", prose(text), re.M) if heading not in site] == []


def test_a_page_with_cells_is_a_notebook_without_claims():
    text = "# 1\n\n```{code-cell} python\n1\n# -> 1\n```\n"
    site = chapters.for_site(text, CHAPTER)
    assert site.startswith("---\nfile_format: mystnb") and "# ->" not in site
    assert chapters.for_site("# 1\n\ntext\n", CHAPTER) == "# 1\n\ntext\n"


@pytest.mark.parametrize(("page", "up"), [(CHAPTER, "../"), (ANSWER, "../../")])
def test_a_marked_block_gets_its_file_as_caption(page, up):
    block = "<!-- code: fasterfpn/a.py f without docstring -->\n```python\ndef f():\n```\n"
    captioned = f"```{{code-block}} python\n:caption: '[`fasterfpn/a.py`]({up}fasterfpn/a.py)'\ndef f():\n```\n"
    assert chapters.for_site(f"{block}\ntext\n\n{block}", page) == f"{captioned}\ntext\n\n{captioned}"


def test_other_comments_go():
    assert chapters.for_site("a\n<!-- to\ndo -->\nb\n", CHAPTER) == "a\nb\n"


def test_links_that_the_site_cannot_follow_become_text(monkeypatch, tmp_path):
    monkeypatch.setattr(chapters.links, "COMING", {"99_coming.md"})
    page = "[a](99_coming.md#b) [c](../tests/ops) [d](../README.md#kernels) [e](#here) [f](../csrc/check.h)\n"
    site = "a c [d](path:../README.md) [e](#here) [f](../csrc/check.h)\n"
    assert chapters.for_site(page, CHAPTER) == site


def test_the_contents_list_what_exists():
    listed = re.findall(r"^[\w./]+$", chapters.contents(), re.M)
    written = {str(page.relative_to(DOCS).with_suffix("")) for page in pages()[1:]} - {"index"}
    assert written == set(listed) - {"api/index"}
    assert [name for name in listed if name in NUMBERED] == [name for name in NUMBERED if name in written]


def test_sections_and_examples_of_a_docstring_become_markdown():
    docstring = """What.

        Args:
            a: one
                and more
            *b: two

        Returns:
            A thing
            of two lines.

        >>> f(1)
        2

        Rest.
        """
    assert api.markdown(docstring).splitlines() == [
        *("What.", "", "", "**Args**", "", "- `a`: one", "  and more", "- `*b`: two", ""),
        *("", "**Returns**", "", "A thing", "of two lines.", ""),
        *("```pycon", ">>> f(1)", "2", "```", "", "Rest."),
    ]


def test_every_public_function_has_its_entry_and_its_line():
    page = api.page(api.PACKAGE / "geometry")
    assert "{py:function} box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor" in page
    address = api.linkcode_resolve("py", {"module": "fasterfpn.geometry.boxes", "fullname": "box_iou"})
    path, line = address.split(".html#L")
    assert path == "../sources/fasterfpn/geometry/boxes.py"
    assert (api.PACKAGE / "geometry/boxes.py").read_text().splitlines()[int(line) - 1].startswith("def box_iou(")


def test_a_signature_leaves_out_what_is_computed():
    source = 'def f(a: Annotated[str, note()], b: str = g() if h else "i", *, c: int = 1, d: int = k()) -> int: "What."'
    (function,) = ast.parse(source).body
    first = api.entry(function, "fasterfpn", "")[0]
    assert first == "`````{py:function} f(a: str, b: str=..., *, c: int=1, d: int=...) -> int"
