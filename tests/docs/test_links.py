"""Every relative link of README and docs leads somewhere, its anchor and the test that it names included."""

import re

import pytest
from links import DOCS, ROOT, Link, anchors_of, defines, fault, links_of, pages, prose

NAME_OF_TEST = re.compile(r"`(test_\w+)`")


def relative(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=relative)
def test_links_lead_to_files_headings_and_tests(page):
    text = page.read_text(encoding="utf-8")
    found = [(link, fault(link, page)) for link in links_of(text)]
    assert [f"{relative(page)}:{link.line}: [{link.text}]: {wrong}" for link, wrong in found if wrong] == []


@pytest.mark.parametrize("page", pages(), ids=relative)
def test_tests_that_are_named_exist(page):
    names = set(NAME_OF_TEST.findall(prose(page.read_text(encoding="utf-8"))))
    modules = {file.stem for file in (ROOT / "tests").rglob("*.py")}
    assert {name for name in names - modules if not defines(ROOT / "tests", name)} == set()


def test_every_term_of_the_glossary_leads_on_and_stands_in_its_place():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## (.*)\n\n((?:.+\n)+)", text, re.M)
    terms = [term for term, _ in entries]
    assert terms == sorted(terms, key=str.lower) and len(terms) == text.count("\n## ")
    assert [term for term, entry in entries if not links_of(entry)] == []


PAGE = """# Two *boxes*: `iou` and area

[a](other.md) `[b](code.md)` ![c `d[0]`](images/c.svg)

```python
[e](fenced.md)
```
[`test_f`](../tests/f.py), [two
lines](#two-boxes-iou-and-area)
"""


def test_links_in_code_are_none():
    assert links_of(PAGE) == [
        Link("a", "other.md", 3, False),
        Link("c `d[0]`", "images/c.svg", 3, True),
        Link("`test_f`", "../tests/f.py", 8, False),
        Link("two\nlines", "#two-boxes-iou-and-area", 8, False),
    ]


def test_anchors_are_those_of_a_web_view():
    headings = "# A box: x1, *y1* & `P2..P5`\n## Same\n## Same\n### [Link](a.md) – best-anchor\n```\n# no\n```\n"
    assert anchors_of(headings) == {"a-box-x1-y1--p2p5", "same", "same-1", "link--best-anchor"}


HERE = DOCS / "index.md"


@pytest.mark.parametrize(
    ("text", "target", "wrong"),
    [
        ("x", "no_such.md", "does not exist"),
        ("x", "../../outside.md", "does not exist"),
        ("x", "#no-such-heading", "has no heading"),
        ("x", "../README.md#no-such-heading", "has no heading"),
        ("x", "../csrc/check.h#L3", "go stale"),
        ("`test_no_such`", "../tests/geometry/test_boxes.py", "has no test_no_such"),
        ("`test_no_such`", "../tests/geometry", "has no test_no_such"),
        ("x", "glossary.md#iou", None),
        ("x", "../tests/ops", None),
        ("test_layers.py", "../tests/test_layers.py", None),
        ("`test_links_in_code_are_none`", "../tests/docs/test_links.py", None),
    ],
)
def test_a_link_that_leads_nowhere_is_told(text, target, wrong):
    found = fault(Link(text, target, 1, False), HERE)
    assert found is wrong is None or wrong in found
