"""Write docs/handbook.md and its charts: examples/handbook/handbook.ipynb with its outputs.

Run it after the notebook has been run and saved: `python docs/notebook_page.py`.
"""

import json
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTEBOOK = DOCS.parent / "examples" / "handbook" / "handbook.ipynb"
PAGE = DOCS / "handbook.md"
IMAGES = DOCS / "images"

_HEAD = "<!-- written by docs/notebook_page.py from examples/handbook/handbook.ipynb -->\n"
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)]+)\)")
_STYLE = re.compile(r"<style scoped>.*?</style>\s*", re.S)


def page() -> tuple[str, dict[str, str]]:
    """Return the page, and its charts as SVG by their file names."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    charts: dict[str, str] = {}
    parts = [part for cell in cells for part in _parts(cell, charts)]
    title, *rest = parts
    return "\n".join([title, _HEAD, *rest]).rstrip() + "\n", charts


def _parts(cell: dict[str, Any], charts: dict[str, str]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield from (_wrapped(each) + "\n" for each in source.split("\n\n"))
        return
    yield f"```python\n{source}\n```\n"
    for is_stream, outputs in groupby(
        cell["outputs"], lambda each: each["output_type"] == "stream"
    ):
        if is_stream:
            yield _block("".join("".join(each["text"]) for each in outputs))
        else:
            yield from (_shown(each, charts) for each in outputs)


def _filled(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _wrapped(paragraph: str) -> str:
    led = _LINK.sub(rf"](../{NOTEBOOK.parent.relative_to(DOCS.parent).as_posix()}/\1)", paragraph)
    return _filled(led)


def _shown(output: dict[str, Any], charts: dict[str, str]) -> str:
    """Return a result as Markdown: a table as HTML, a chart as a link, else text in a block."""
    data = {kind: "".join(content) for kind, content in output["data"].items()}
    if "image/svg+xml" in data:
        name = f"handbook-{len(charts) + 1}.svg"
        charts[name] = data["image/svg+xml"].rstrip() + "\n"
        words = data["text/plain"].removeprefix("<Chart: ").removesuffix(">")
        return f"![{words}](images/{name})\n"
    if "text/html" in data:
        lines = _STYLE.sub("", data["text/html"]).replace("</li>", "</li>\n").splitlines()
        # No blank line is left: it would end the HTML.
        return "\n".join(_filled(line.strip()) for line in lines if line.strip()) + "\n"
    return _block(data["text/plain"])


def _block(text: str) -> str:
    lines = (textwrap.fill(line, 100, subsequent_indent="   ") for line in text.splitlines())
    return "```text\n" + "\n".join(lines).rstrip() + "\n```\n"


if __name__ == "__main__":
    text, found = page()
    PAGE.write_text(text, encoding="utf-8")
    for name, svg in found.items():
        (IMAGES / name).write_text(svg, encoding="utf-8")
