"""The site: `python -m sphinx -W docs docs/_build`, after `pip install -e '.[docs]'`. It opens from disk."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))
os.environ["PYTHONPATH"] = os.pathsep.join((str(DOCS), str(DOCS.parent)))  # of the kernels that run the cells

from extensions.api import linkcode_resolve  # noqa: E402, F401

project = "fasterfpn"
author = "the fasterfpn authors"
copyright = "the fasterfpn authors; text and figures CC BY 4.0, code MIT"
html_title = "fasterfpn"

extensions = [
    "myst_nb",
    "sphinx.ext.linkcode",
    "extensions.api",  # writes docs/api
    "extensions.chapters",
    "extensions.interactive",
    "extensions.mathml",
    "extensions.sources",
]
exclude_patterns = ["_build", "*.ipynb"]  # of docs/notebooks.py
suppress_warnings = ["ref.python"]  # a type such as `Levels` in a signature may have two homes

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # `glossary.md#best-anchor`, as in a repository's web view
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would come from the network

add_module_names = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
