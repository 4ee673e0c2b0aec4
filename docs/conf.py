"""The site of docs/: `scripts/docs` builds it. The tree is the source, so that links are those of GitHub."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

project = "adascale"
copyright = "the adascale authors, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "breathe", "sphinx-mathjax-offline"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/*.ipynb", "*.md", "bench/README.md"]
exclude_patterns = ["build", ".*"]

html_theme = "furo"
html_title = "adascale"
# 100 characters of code fit the page.
html_theme_options = {"light_css_variables": {"code-font-size": "var(--font-size--small--3)"}}
html_extra_path = ["site"]  # a page at the site's own address that leads to docs/index

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
highlight_language = "none"  # a block without a language is output
nb_execution_mode = "off"  # tests/site runs the notebook
suppress_warnings = ["myst.header"]  # tables that tools write begin at their own level

autodoc_typehints = "description"
autodoc_member_order = "bysource"
breathe_projects = {"adascale": str(ROOT / "build/docs/doxygen/xml")}
breathe_default_project = "adascale"

# Directives stand in comments, so that GitHub shows a page without them.
SITE_PART = re.compile(r"<!-- site\n(.*?)\n-->", re.DOTALL)
ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")
KEYWORD = re.compile(r"^ {4}(\w+)( \(or \w+\))?: ")


def open_site_parts(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = SITE_PART.sub(r"\1", source[0])


def mark_arguments(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Our docstrings say `name: text`; Sphinx wants fields, and a list of keywords."""
    for i, line in enumerate(lines):
        line = ARGUMENT.sub(lambda found: f":param {found[1].replace(', ', ' ')}: ", line)
        line = KEYWORD.sub(r"* **\1**\2: ", line)
        line = re.sub(r"^Raises ", "\nRaises ", line)
        lines[i] = line + "\n" if line == "Keywords:" else line
    lines[:] = "\n".join(lines).split("\n")


def setup(app: Sphinx) -> None:
    app.connect("source-read", open_site_parts)
    app.connect("autodoc-process-docstring", mark_arguments)
