"""Names, values and texts are printed whole in a terminal, however long they are."""

import pytest
from rich.console import Console

from comparison.report.terminal.tables import print_list, print_pairs


def test_a_path_longer_than_a_line_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    path = f"/data/{'x' * 100}/pairs"
    print_pairs(Console(width=60), [("from", path), ("pairs", "1")])
    lines = capsys.readouterr().out.splitlines()
    assert "".join(line[7:].strip() for line in lines[:-1]) == path
    assert lines[-1].split() == ["pairs", "1"]


def test_a_text_is_wrapped_beside_its_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_list(Console(width=20), ["about 230 more pairs needed", "too few"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["- about 230 more", "  pairs needed", "- too few"]
