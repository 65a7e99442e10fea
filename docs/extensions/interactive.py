"""Interactive figures: `<!-- figure: iou -->` before a still picture, which stays where scripts do not run.

The comment becomes an empty element that a script fills, and a page loads the scripts of its own figures only. They
lie in docs/static/figures: classic scripts, since browsers do not load modules from a disk.
"""

import re

MARK = re.compile(r"^<!-- figure: (\w+) -->\n", re.M)
PLACE = re.compile(r'data-figure="(\w+)"')
SCRIPTS = {
    "iou": ("iou", "drag", "stage", "iou_figure"),
    "nms": ("iou", "nms", "data", "drag", "stage", "nms_figure"),
    "anchors": ("anchors", "data", "drag", "stage", "anchors_figure"),
    "pooling": ("pooling", "data", "feature_maps", "drag", "stage", "pooling_figure"),
    "average_precision": ("average_precision", "data", "stage", "average_precision_figure"),
}


def with_places(text: str) -> str:
    """Return the text of a page with an element in the place of each comment. Raises KeyError for an unknown figure."""
    return MARK.sub(lambda match: _place(match[1]), text)


def _place(name: str) -> str:
    SCRIPTS[name]  # an unknown figure breaks the build
    return f'```{{raw}} html\n<div class="interactive" data-figure="{name}"></div>\n```\n\n'


def add_scripts(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Load what the figures of a page need, each script once and in order."""
    names = PLACE.findall(context.get("body", ""))
    for script in dict.fromkeys(script for name in names for script in SCRIPTS[name]):
        app.add_js_file(f"figures/{script}.js", loading_method="defer")
    if names:
        app.add_css_file("figures/figures.css")


def setup(app) -> dict:
    """Look at each page as it is written."""
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
