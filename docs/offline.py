"""Looks for requests to a network in a built site: `python docs/offline.py docs/_build` exits with 1 for any.

A link that a reader may follow is no request. A script, a style sheet, a picture, a frame, a font is one, in HTML and
CSS alike, and so is what a script fetches or imports from an address that is written in it.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADS = {"src", "srcset", "poster", "data", "background", "action", "formaction"}
LOADED_BY_LINK = {"link": "href", "image": "href", "use": "href", "base": "href"}  # by other elements it is followed
REMOTE = re.compile(r"\s*(?:https?:)?//", re.I)
IN_CSS = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])\s*((?:https?:)?//[^'")\s]+)""", re.I)
IN_SCRIPT = re.compile(
    r"""(?:fetch|import|importScripts|open|Worker|EventSource|WebSocket)\s*\(?\s*['"`]((?:https?|wss?):[^'"`]+)"""
)


class Requests(HTMLParser):
    """Collects the addresses that a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at the attributes of an element."""
        self.inside = tag
        for name, value in attributes:
            loads = name in LOADS or LOADED_BY_LINK.get(tag) == name.removeprefix("xlink:")
            addresses = (value or "").split(",") if name == "srcset" else [value or ""]
            self.found += [address.strip() for address in addresses if loads and REMOTE.match(address)]
            if name == "style":
                self.found += IN_CSS.findall(value or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or a style."""
        self.inside = ""

    def handle_data(self, data: str) -> None:
        """Look at the text of a script or a style."""
        if self.inside in ("script", "style"):
            self.found += (IN_SCRIPT if self.inside == "script" else IN_CSS).findall(data)


def requests_of(file: Path) -> list[str]:
    """Return the addresses that a file of the site loads from elsewhere."""
    text = file.read_text(encoding="utf-8")
    if file.suffix in (".css", ".svg"):
        return IN_CSS.findall(text)
    if file.suffix in (".js", ".mjs"):
        return IN_SCRIPT.findall(text)
    page = Requests()
    page.feed(text)
    return page.found


def main() -> None:
    """Look through the site in the folder that is named."""
    site = Path(sys.argv[1])
    files = [file for file in sorted(site.rglob("*")) if file.suffix in (".html", ".css", ".svg", ".js", ".mjs")]
    if not any(file.name == "index.html" for file in files):
        sys.exit(f"{site}: no site; build it with python -m sphinx -W docs {site}")
    found = [f"{file.relative_to(site)}: {address}" for file in files for address in requests_of(file)]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(files)} files, no request to a network")


if __name__ == "__main__":
    main()
