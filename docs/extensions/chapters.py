"""Makes plain Markdown the site's source: chapters have no front matter, and read well in a repository's web view.

A page with cells becomes a notebook, and loses the `# -> ` lines, since the site shows what the cells really say.
Marked code blocks get their file as caption, other comments go. Links to pages that are not written yet become text.
"""

import re
from pathlib import Path

import cells
import links

NOTEBOOK = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
MARKED = re.compile(r"^<!-- code: (\S+) [^\n]*-->\n```(\w+)\n(.*?^```\n)", re.M | re.S)
COMMENT = re.compile(r"<!--.*?-->\n?", re.S)
GROUPS = {"Chapters": links.NUMBERED, "Electives": links.ELECTIVES}
APPENDICES = ("glossary", "symbols", "degenerates", "why", "course", "api/index")


def for_site(text: str, page: Path) -> str:
    """Return the text of a page as Sphinx is to read it."""
    text = MARKED.sub(lambda match: _captioned(match, page), text)
    text = COMMENT.sub("", text)
    text = links.CODE_OR_LINK.sub(lambda match: _existing(match, page), text)
    return NOTEBOOK + cells.without_claims(text) if cells.has_cells(text) else text


def _captioned(match: re.Match, page: Path) -> str:
    path, language, rest = match.groups()
    up = "../" * (len(page.relative_to(links.ROOT).parents) - 1)
    return f"```{{code-block}} {language}\n:caption: '[`{path}`]({up}{path})'\n{rest}"


def _existing(match: re.Match, page: Path) -> str:
    """Keep a link, or only its text where it leads to a folder or to a page that is still to come."""
    file = match["target"] and match["target"].partition("#")[0]
    if not file or match["image"] or ":" in file:
        return match[0]
    target = (page.parent / file).resolve()
    if links.is_coming(target) or target.is_dir():
        return match["text"]
    if target.suffix == ".md" and not target.is_relative_to(links.DOCS):
        return f"[{match['text']}](path:{file})"  # no page of the site
    return match[0]


def contents() -> str:
    """Return the tables of contents in the order of the course, of the pages that exist."""
    groups = {
        **GROUPS,
        "Appendices": APPENDICES,
        "Answers": sorted(f"answers/{page.stem}" for page in links.DOCS.glob("answers/*.md")),
    }
    tables = []
    for caption, names in groups.items():
        there = [name for name in names if (links.DOCS / f"{name}.md").exists()]
        if there:
            tables.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(there) + "\n```\n")
    return "\n" + "\n".join(tables)


def read(app, docname: str, source: list[str]) -> None:
    """Change a page as it is read."""
    if not docname.startswith("api/"):
        source[0] = for_site(source[0], Path(app.srcdir) / f"{docname}.md")
    if docname == "index":
        source[0] += contents()


def keep_notebooks(app) -> None:
    """Put the notebooks that were run beside the site's pages, where a reader can take them from."""
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(Path(app.outdir) / "notebooks"))


def setup(app) -> dict:
    """Change each page before MyST reads it."""
    app.connect("source-read", read)
    app.connect("builder-inited", keep_notebooks, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
