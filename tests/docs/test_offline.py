"""The scan of the built site finds every way in which a page can ask a network for something."""

import pytest
from offline import requests_of

PAGES = {
    "page.html": [
        '<script src="https://cdn.example/a.js"></script>',
        '<script src="//cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="https://cdn.example/a.css">',
        '<img alt="x" src=" HTTP://cdn.example/a.png">',
        '<img srcset="a.png 1x, https://cdn.example/b.png 2x">',
        '<iframe src="https://cdn.example"></iframe>',
        '<svg><image xlink:href="https://cdn.example/a.png"/></svg>',
        '<p style="background: url(https://cdn.example/a.png)">',
        "<style>@import 'https://cdn.example/a.css';</style>",
        '<script>fetch("https://cdn.example/a.json")</script>',
    ],
    "style.css": [
        "@font-face { src: url('https://cdn.example/a.woff2') }",
        "p { background: url(//cdn.example/a) }",
    ],
    "script.js": ['import("https://cdn.example/a.js")', "new WebSocket('wss://cdn.example')"],
    "picture.svg": ["<style>@import url(https://cdn.example/a.css);</style>"],
}
HARMLESS = {
    "page.html": [
        '<a href="https://example.org">followed, not loaded</a>',
        '<script src="_static/a.js"></script><link rel="stylesheet" href="a.css">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        '<img src="data:image/png;base64,//8=">',
        "<code>fetch(&quot;https://cdn.example&quot;)</code>",
    ],
    "style.css": ["/* https://example.org */ a { background: url(data:image/svg+xml;base64,//8=) }"],
    "script.js": ["// see https://example.org", 'const SVG = "http://www.w3.org/2000/svg";'],
}


def cases(pages):
    return [(name, text) for name, texts in pages.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), cases(PAGES))
def test_a_request_is_found(name, text, tmp_path):
    (tmp_path / name).write_text(f"<p>before</p>{text}" if name.endswith(".html") else text)
    (address,) = requests_of(tmp_path / name)
    assert "cdn.example" in address


@pytest.mark.parametrize(("name", "text"), cases(HARMLESS))
def test_what_loads_nothing_is_left_alone(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert requests_of(tmp_path / name) == []
