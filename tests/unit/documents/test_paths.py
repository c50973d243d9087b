"""The files, folders and modules that the documents name are there."""

import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.markdown import DOCS, PAGES, name_of
from tests.support.paths import ROOT

FOLDERS: Final = ("flags", "comparison", "service", "examples", "load_tests", "tests", "deploy")
FOLDER: Final = "|".join(FOLDERS)
A_PATH: Final = re.compile(rf"(?<![\w./~@:-])(?:{FOLDER}|docs)/[\w*](?:[\w./*-]*[\w*])?")
A_FILE: Final = re.compile(r"`(?:\w+/)?(\w+\.py)`")
A_MODULE: Final = re.compile(r"(?<![\w./-])(?:flags|comparison)(?:\.[A-Za-z_]\w*)+")
FILES_OF_A_READER: Final = re.compile(r"^# (\w+\.py)$", re.M)
NO_MODULES: Final = (".json", ".yaml", ".html", ".py", ".md")

# Decisions name what was there when they were taken; the changelog, what was there before.
CHECKED: Final = [
    page for page in PAGES if page.parent != DOCS / "adr" and page.name != "CHANGELOG.md"
]

each_page = pytest.mark.parametrize("page", CHECKED, ids=name_of)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def python_files() -> Iterator[str]:
    for folder in (*FOLDERS, "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path.name


@each_page
def test_each_path_that_a_page_names_is_there(page: Path) -> None:
    for path in A_PATH.findall(text_of(page)):
        assert any(ROOT.glob(path)) or (ROOT / f"{path}.py").is_file(), path


@each_page
def test_each_python_file_that_a_page_names_is_there_or_written_by_its_reader(page: Path) -> None:
    text = text_of(page)
    known = {*python_files(), *FILES_OF_A_READER.findall(text)}
    assert set(A_FILE.findall(text)) <= known


@each_page
def test_each_module_that_a_page_names_is_there(page: Path) -> None:
    for name in A_MODULE.findall(text_of(page)):
        if not name.endswith(NO_MODULES):
            pkgutil.resolve_name(name)


@pytest.mark.parametrize("package", ["flags", "comparison"])
def test_the_tree_in_contributing_has_what_is_at_the_top_of_a_package(package: str) -> None:
    """In the order in which they may import one another, as pyproject.toml has it."""
    (tree,) = re.findall(
        rf"^{package}/\n((?:    .*\n)+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M
    )
    shown = [name for name in re.findall(r"^    (\w+)(?:/|\.py) ?", tree, re.M) if name[0] != "_"]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = (
        each["layers"] for each in contracts["contracts"] if each.get("containers") == [package]
    )
    assert shown == [name for layer in layers for name in layer.split(" | ")]


def test_the_patterns_find_what_documents_name() -> None:
    """A pattern that matches nothing would let every page pass."""
    text = "\n".join(map(text_of, CHECKED))
    assert "flags/gate/checks" in A_PATH.findall(text)
    assert "scorer.py" in A_FILE.findall(text)
    assert any(name.startswith("comparison.") for name in A_MODULE.findall(text))
    assert "flags/operate/notify.py" not in text
