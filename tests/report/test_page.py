"""A page holds all that it shows: no script, nothing from elsewhere, all text escaped."""

from html.parser import HTMLParser

from matplotlib.figure import Figure
from PIL import Image

from fasterfpn.report.page import Page


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


def sample():
    page = Page("A < B & C")
    page.heading("Heading")
    page.text("<script>alert(1)</script>")
    page.chart(Figure(figsize=(2, 2)), "Figure 2", "A drawing.")
    page.pictures([(Image.new("RGB", (8, 6)), 'with "quotes"')] * 2, "Figure 1", "Pictures.")
    page.table([["a", "b"], ["1", ""]], "Table 2", "Numbers.")
    return page.html()


def test_everything_is_inside_and_text_stays_text():
    elements = Elements(sample())
    assert elements.open == []
    assert not {"script", "iframe", "object"} & {tag for tag, _ in elements.found}
    sources = [attributes[key] for _, attributes in elements.found for key in ("src", "href") if key in attributes]
    assert len(sources) == 4 and all(source.startswith("data:") for source in sources)
    assert "<script>alert(1)</script>" in elements.text and "A < B & C" in elements.text
    assert all(attributes["alt"] for tag, attributes in elements.found if tag == "img")
    assert "url(" not in sample() and "@import" not in sample()


def test_an_empty_cell_stays_empty():
    assert "<tr><td>1</td><td></td></tr>" in sample()
