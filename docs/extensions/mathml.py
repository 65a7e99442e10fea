"""Formulas as MathML, made while the site is built: browsers show it without a script."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

LOG = logging.getLogger(__name__)
TAG = re.compile(r"\\tag\{(.*?)\}")


def mathml(latex: str, display: str, place: nodes.Node | None = None) -> str:
    """Return a formula as MathML; warn where a command is unknown, which the converter would show as it stands."""
    try:
        markup = convert(latex, display=display)
    except Exception as error:  # the converter has many kinds
        LOG.warning("no formula: %s (%s)", latex, error, location=place)
        return ""
    if "\\" in markup:
        LOG.warning("unknown command in the formula %s", latex, location=place)
    return markup


def visit_math(self, node: nodes.math) -> None:
    """Write an inline formula."""
    self.body.append(mathml(node.astext(), "inline", node))
    raise nodes.SkipNode


def visit_displaymath(self, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, its number (`\\\\tag{3}`) at the right."""
    latex = node.astext()
    number = "".join(f'<span class="number">({tag})</span>' for tag in TAG.findall(latex))
    self.body.append(f'<div class="formula">{mathml(TAG.sub("", latex), "block", node)}{number}</div>\n')
    raise nodes.SkipNode


def setup(app) -> dict:
    """Register the renderer that conf.py names."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
