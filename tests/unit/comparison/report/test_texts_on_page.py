"""Judged texts and preferences, on the page and in the terminal."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from comparison.judges.examples import TextExample, read_examples
from comparison.judges.preferences import load_preferences
from comparison.report.html.page import render
from comparison.report.terminal.kinds import print_kinds
from flags.gate.evidence import Count, PreferenceEvidence, UnitPreference, UnitShare
from tests.support.evidence import evidence
from tests.support.pair_files import FLAG
from tests.support.text_pairs import text_pairs

FOUND = PreferenceEvidence(
    output="answer",
    units=(UnitPreference(0.0, 0.0, 30), UnitPreference(1.0, 1.0, 70)),
    pairs=100,
    failed=0,
    position=(UnitShare(0.5, 80), UnitShare(1.0, 20)),
    consistent=Count(80, 100),
    same_model=(UnitShare(0.5, 8), UnitShare(1.0, 2)),
    judges=("my_judge:prefer",),
)


def test_the_page_shows_judged_texts_escaped_and_cut() -> None:
    hostile = "<script>alert(1)</script>" + "x" * 5_000
    shown = TextExample("<b>id</b>", "answer", "Why?", hostile, "Because.", 1.0)

    page = render(replace(evidence(), preferences=(FOUND,)), None, (shown,))

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "x" * 600 not in page
    assert "candidate, preferred" in page
    assert 'href="#texts"' in page


def test_the_page_and_the_terminal_show_the_preferences() -> None:
    found = replace(evidence(), preferences=(FOUND,))
    console = Console(file=StringIO(), width=120)

    print_kinds(found, console)

    said = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (said, render(found)):
        assert "Preferences: answer" in text
        assert "70.00 %" in text
        assert "60.00 %" in text  # what is shown first: 80 halves and 20 wholes
        assert "my_judge:prefer" in text
    assert "Texts that were judged" not in render(found)


def test_examples_are_of_both_sides_and_the_same_each_time(tmp_path: Path) -> None:
    pairs = text_pairs(tmp_path / "pairs", 40)
    table = tmp_path / "preferences.csv"
    rows = (f"worker-1-request-{n},answer,{n % 2}" for n in range(1, 41))
    table.write_text("\n".join(("request_id,output,preference", *rows)) + "\n")
    preferences = load_preferences(table)

    found = read_examples(pairs, FLAG, preferences)

    assert [each.preference for each in found] == [1.0] * 3 + [0.0] * 3
    assert found == read_examples(pairs, FLAG, preferences)
    assert all(each.candidate.startswith("a longer text") for each in found)
