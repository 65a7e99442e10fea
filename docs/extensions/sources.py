"""Pages for the files of the repository that the site links to, highlighted, with an anchor for each line."""

from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "sources"
LEXERS = {".cu": "x.cpp"}


def page_of(path: str) -> str:
    """Return the page for a file, named from the repository's root."""
    return f"{FOLDER}/{path}"


class LinkSources(SphinxTransform):
    """Turns links to files of the repository, which Sphinx would copy for download, into links to their pages."""

    default_priority = 500

    def apply(self) -> None:
        """Change the links of one page."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        for node in list(self.document.findall(addnodes.download_reference)):
            path = (here / node["reftarget"].lstrip("/")).resolve().relative_to(ROOT).as_posix()
            up = "../" * self.env.docname.count("/")
            reference = nodes.reference("", "", *node.children, internal=True, refuri=f"{up}{page_of(path)}.html")
            node.replace_self(reference)
            needed(self.env).setdefault(self.env.docname, set()).add(path)


def needed(env) -> dict[str, set[str]]:
    """Return the files that each page links to."""
    if not hasattr(env, "linked_sources"):
        env.linked_sources = {}
    return env.linked_sources


def merge(app, env, docnames: list[str], other) -> None:
    """Take over what another process noted of its pages."""
    needed(env).update({docname: paths for docname, paths in needed(other).items() if docname in docnames})


def pages(app):
    """Make a page for each file that is linked."""
    for path in sorted(set().union(*needed(app.env).values())):
        suffix = Path(path).suffix
        try:
            lexer = get_lexer_for_filename(LEXERS.get(suffix, path))
        except ClassNotFound:
            lexer = TextLexer()
        formatter = HtmlFormatter(nowrap=True)
        lines = highlight((ROOT / path).read_text(encoding="utf-8"), lexer, formatter).splitlines()
        width = len(str(len(lines)))
        body = "\n".join(f'<a id="L{n}" href="#L{n}">{n:{width}}</a>  {line}' for n, line in enumerate(lines, 1))
        html = f'<h1>{path}</h1>\n<div class="highlight"><pre class="source">{body}</pre></div>'
        yield page_of(path), {"title": path, "body": html}, "page.html"


def setup(app) -> dict:
    """Register links and pages."""
    app.add_transform(LinkSources)
    app.connect("html-collect-pages", pages)
    app.connect("env-purge-doc", lambda app, env, docname: needed(env).pop(docname, None))
    app.connect("env-merge-info", merge)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
