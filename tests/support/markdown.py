"""Read the project's documents: their pages, sections, tables and code."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

DOCS = ROOT / "docs"


def markdown_files() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.md")):
        folders = path.relative_to(ROOT).parts[:-1]
        if not any(name.startswith(".") or name in ("build", "node_modules") for name in folders):
            yield path


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


PAGES = list(markdown_files())


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def section(page: Path, heading: str) -> str:
    """Return what is below a heading of the second level."""
    _, found, rest = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{name_of(page)} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table in `text`, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    heads = {lines[i - 1] for i, line in enumerate(lines) if line.startswith("| ---")}
    return [
        [cell.strip() for cell in re.split(r" \|(?= )", line.strip("|"))]
        for line in lines
        if line not in heads and not line.startswith("| ---")
    ]


def code(cell: str) -> str:
    """Return what the first backticks of a cell hold."""
    found = re.match(r"`([^`]+)`", cell)
    assert found, f"{cell!r} does not begin with code"
    return found.group(1)
