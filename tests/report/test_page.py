"""A page is one file: no script, nothing loaded from elsewhere, all text escaped."""

from html.parser import HTMLParser

from matplotlib.figure import Figure
from PIL import Image

from fasterfpn.report.page import Section, page_html


class Elements(HTMLParser):
    """Tags with their attributes, all text, and whether every element is closed."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def sample(labelled=True):
    section = Section("Heading")
    section.chart(Figure(figsize=(2, 2)), "Figure 2", "A drawing.")
    section.pictures([(Image.new("RGB", (8, 6)), 'with "quotes" {{ title }}')] * 2, "Figure 1", "Pictures.")
    section.table([["a", "b"], ["1", ""], ["<td>", "{% raw %}"]], "Table 2", "Numbers.")
    return page_html("A < B & C", ["<script>alert(1)</script>"], [section, Section("Nothing here")], labelled)


def test_everything_is_inside_and_text_stays_text():
    elements = Elements(sample())
    assert elements.open == []
    assert not {"script", "iframe", "object"} & {tag for tag, _ in elements.found}
    sources = [attributes[key] for _, attributes in elements.found for key in ("src", "href") if key in attributes]
    assert len(sources) == 4 and all(source.startswith("data:") for source in sources)
    assert "<script>alert(1)</script>" in elements.text and "A < B & C" in elements.text
    assert 'with "quotes" {{ title }}' in elements.text and "<td>{% raw %}" in elements.text
    assert all(attributes["alt"] for tag, attributes in elements.found if tag == "img")
    assert "url(" not in sample() and "@import" not in sample()


def test_an_empty_cell_stays_empty():
    assert "<tr><td>1</td><td></td></tr>" in sample()


def test_labels_are_shown_or_not():
    assert "<b>Table 2.</b> Numbers." in sample() and "<b>" not in sample(labelled=False)


def test_nothing_empty_is_shown():
    section = Section("Heading")
    section.table([["a", "b"]], "Table 2", "A heading without rows.")
    section.pictures([], "Figure 1", "No picture.")
    assert section.blocks == []
    assert "<h2>" not in page_html("title", [], [section], True) and "Nothing here" not in sample()
