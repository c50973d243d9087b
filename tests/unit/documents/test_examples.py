"""The examples of the documents run."""

import re
import shlex
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

import pytest
from openfeature import api as openfeature
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from flags.playbook.file import read_playbook
from flags.unleash.flags_file import write_flags_file
from tests.support.markdown import DOCS, PAGES, name_of
from tests.support.pair_files import PairFile
from tests.support.paths import ROOT

EXAMPLES = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()])
ELSEWHERE = (
    DOCS / "tutorial.md",  # has files and commands of its own: tests/e2e/test_wheel.py
    DOCS / "handbook.md",  # is a notebook with its outputs: tests/e2e/test_handbook.py
)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
WITH_EXAMPLES = [
    path
    for path in PAGES
    if path not in ELSEWHERE and "\n```python\n" in path.read_text(encoding="utf-8")
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder as the documents assume it: a flag, pairs of two workers, a `models`."""
    write_flags_file(tmp_path / "flags.json", "fraud-detector-v2", 10)
    for worker, pairs in (("worker-1", 20), ("worker-2", 10)):
        file = PairFile(tmp_path / "pairs", worker)
        for _ in range(pairs):
            file.pair()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples" / "ten_lines")
    yield tmp_path
    openfeature.shutdown()
    openfeature.clear_providers()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module that the blocks of a page make up: BentoML asks a service for its module."""
    module = types.ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    return module


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_the_examples_of_a_page_run_from_top_to_bottom(
    page: Path, folder: Path, module: types.ModuleType
) -> None:
    document = EXAMPLES.parse(page)
    document.namespace = vars(module)
    ran = 0
    for example in document.examples():
        try:
            example.evaluate()
        except SkipTest:
            continue
        ran += 1
    assert ran, "every example of the page is skipped"


def test_no_example_is_skipped_without_a_reason() -> None:
    for page in WITH_EXAMPLES:
        skips = re.findall(r"<!--+ *skip: *(.*?)-->", page.read_text(encoding="utf-8"))
        for skip in skips:
            assert re.fullmatch(r'next ".+" *', skip), f"{name_of(page)}: {skip}"


def test_the_readme_shows_the_canary_router_as_its_own_page_does() -> None:
    routers = [
        block
        for page in (ROOT / "README.md", DOCS / "how-to" / "standalone.md")
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
        if "class CanaryRouter" in block
    ]
    assert len(routers) == 2
    assert routers[0] == routers[1]


def test_the_ten_lines_of_the_readme_are_a_file_of_the_examples() -> None:
    """What a clone serves is what the page shows: tests/e2e/test_readme.py runs it."""
    (shown,) = re.findall(
        r"```python\n(# service.py\n.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    assert (ROOT / "examples" / "ten_lines" / "service.py").read_text("utf-8") == shown


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_install_line_works_from_a_clone(page: Path) -> None:
    """No package index has the project: it is named by a path, with extras of pyproject.toml."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"pip install [^\n`]*bentoml-flags", text)
    for line in re.findall(r"(?:^\$ |`)(?:python -m )?pip install ([^`\n]+)", text, re.M):
        for extras in re.findall(
            r"^\.\[([\w,-]+)\]$", "\n".join(shlex.split(line, comments=True)), re.M
        ):
            assert set(extras.split(",")) <= set(EXTRAS), line


def test_the_files_of_the_tutorial_are_named_and_about_one_flag(
    tmp_path: Path,
) -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:python|yaml)\n(.*?)^```", text, re.M | re.S)
    for block in blocks:
        named = re.match(r"# (\w+\.(?:py|yaml))\n", block)
        assert named, block.partition("\n")[0]
        (tmp_path / named.group(1)).write_text(block, encoding="utf-8")
    files = {path.name for path in tmp_path.iterdir()}
    assert files >= {"train.py", "models.py", "service.py", "traffic.py", "playbook.yaml"}
    assert len(files) == len(blocks)
    for path in tmp_path.glob("*.py"):
        compile(path.read_text(encoding="utf-8"), path.name, "exec")
    (flag,) = re.findall(r'flag="(.+)"', (tmp_path / "service.py").read_text(encoding="utf-8"))
    assert read_playbook(tmp_path / "playbook.yaml").flag == flag
    assert set(re.findall(r"--flag (\S+)", text)) == {flag}
