"""Errors and reasons that reach Python code as well as commands: they name no option."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import comparison
from comparison.errors import LabelWordError, SeveralFlagsError
from comparison.labels import load_labels
from comparison.labels.use import TypedLabels

ROOT = Path(comparison.__file__).parents[1]

OF_COMMANDS = ("comparison/cli/", "comparison/report/terminal/")

ASKED_BY_COMMANDS_ALONE = {
    "comparison/judges/journal.py": "--out",  # of `judge`
    "comparison/pairs/file_reads.py": "--jobs",  # of `compact`
}

OPTION = re.compile(r"(?<!\S)[(`]*(--[a-z][a-z-]*)")


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module, without docstrings."""
    tree = ast.parse(path.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def test_what_python_may_meet_names_no_option_of_a_command() -> None:
    found = {
        (str(path.relative_to(ROOT)), option)
        for package in ("comparison", "flags/gate", "flags/pairing", "flags/export")
        for path in (ROOT / package).rglob("*.py")
        if not str(path.relative_to(ROOT)).startswith(OF_COMMANDS)
        for text in texts(path)
        if not re.search("bentoml models get", text)  # an option of BentoML's
        for option in OPTION.findall(text)
    }
    assert found == set(ASKED_BY_COMMANDS_ALONE.items())


def test_a_word_in_a_csv_that_is_no_truth_names_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("request_id,label\nr1,fraud\n")
    with pytest.raises(LabelWordError) as raised:
        TypedLabels.of(load_labels(path), ["score"], ["score"], [])
    assert str(raised.value) == (
        f"{path}, line 2, column label: 'fraud': expected true or false, yes or no, 1 or 0, "
        "+1 or -1; empty: not known yet"
    )


def test_several_flags_are_named_to_choose_from() -> None:
    assert str(SeveralFlagsError("pairs", ["a", "b"])) == (
        "pairs holds pairs of 2 flags: a, b; choose one of them"
    )
