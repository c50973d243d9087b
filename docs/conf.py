"""Build the documents as a site: `make docs`, or `sphinx-build -W --keep-going docs build/docs`.

The pages are plain Markdown that reads as well on a code host. So nothing in them is Sphinx's own:
what a site needs besides is made of them here.
"""

import os
import re
from importlib import import_module
from importlib.metadata import version as version_of
from inspect import isfunction
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

project = "bentoml-flags"
author = "The bentoml-flags authors"
copyright = author
version = release = version_of("bentoml-flags")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of signatures, most of which are not public names
default_role = "code"  # docstrings write code as documents do, in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"

myst_heading_anchors = 4  # the anchors of a code host: #all-arguments

html_theme = "furo"
html_title = f"{project} {version}"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

REPOSITORY = os.environ.get("DOCS_REPOSITORY", "").rstrip("/")
"""Address under which a code host shows a file, such as https://example.com/project/blob/main.

Links to files outside of this folder lead there; without an address the files are part of the site,
as downloads, and a link to a folder is its text only.
"""

DOCS = Path(__file__).parent

NAVIGATION = {"index.md", "decisions.md"}
"""Pages whose lists of links, section by section, are the navigation."""

_ANY_LINK = re.compile(r"\[(?P<label>[^\[\]]+)\]\((?P<path>[^()<>\s#]+)\)")
_LINK = re.compile(r"^- \[[^\]]+\]\(([\w./-]+)\.md\)", re.M)


def navigation(text: str) -> str:
    """Return the hidden toctrees of a page: one for each section, of the links in its lists."""
    first, *sections = re.split(r"^## (.+)\n", text, flags=re.M)
    titled = [
        ("", first),
        *(
            (f":caption: {title}", body)
            for title, body in zip(sections[::2], sections[1::2], strict=True)
        ),
    ]
    return "".join(
        "\n".join(["\n```{toctree}", ":hidden:", caption, "", *pages, "```\n"])
        for caption, body in titled
        if (pages := _LINK.findall(body))
    )


def add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the pages of `NAVIGATION` their toctrees; called by Sphinx for each page."""
    if Path(app.env.doc2path(docname)).name in NAVIGATION:
        source[0] += navigation(source[0])


def lead_outside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead links to what is outside of this folder to where it is; called for each page."""
    here = Path(app.env.doc2path(docname)).parent

    def led(link: re.Match[str]) -> str:
        label, path = link["label"], link["path"]
        target = (here / path).resolve()
        if re.match(r"[a-z]+:", path) or target.is_relative_to(DOCS):
            return link[0]
        if REPOSITORY:
            return f"[{label}]({REPOSITORY}/{target.relative_to(DOCS.parent).as_posix()})"
        return f"[{label}](<path:{path}>)" if target.is_file() else label

    source[0] = _ANY_LINK.sub(led, source[0])


def read_sections(
    _app: Sphinx, what: str, _name: str, _of: object, _options: object, lines: list[str]
) -> None:
    """Read `Args:` and `Raises:` of a function; what is said of an attribute has no sections."""
    if what in ("function", "method"):
        lines[:] = GoogleDocstring(list(lines)).lines()


_AUTODOC = re.compile(r"^<!-- autodoc: (\w+) -->$", re.M)


def add_api(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Put the docstrings of a package's public names where a page has a comment for them."""
    source[0] = _AUTODOC.sub(lambda found: _public_names(found[1]), source[0])


def _public_names(package: str) -> str:
    module = import_module(package)
    lines = []
    for name in module.__all__:
        kind = "function" if isfunction(getattr(module, name)) else "class"
        lines += [f".. auto{kind}:: {package}.{name}"]
        lines += ["   :members:", ""] if kind == "class" else [""]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the above."""
    app.connect("source-read", add_navigation)
    app.connect("source-read", lead_outside)
    app.connect("source-read", add_api)
    app.connect("autodoc-process-docstring", read_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
