"""The faults' own machinery, on faults that are quick: real services under load."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from load_tests import faults
from load_tests.faults_table import FAULTS
from load_tests.tally import Tally

SECONDS = 2.0

Injected = Callable[[str, str], Tally]


@pytest.fixture
def injected() -> Injected:
    """Return a way to inject a fault of the table in one placement."""

    def inject(name: str, placement: str) -> Tally:
        (fault,) = (each for each in FAULTS if each.name == name)
        only = replace(fault, placements=(placement,))
        (result,) = faults.run([only], seconds=SECONDS, rate=30.0)
        assert result.tally is not None, result.error
        assert result.is_as_promised, result.row
        return result.tally

    return inject


@pytest.mark.slow
def test_a_candidate_that_raises_costs_no_answer_and_no_pair(injected: Injected) -> None:
    tally = injected("candidate raises", "embedded")
    assert tally.sent > 50
    assert tally.expected == tally.found == tally.sent
    assert tally.signs["fallback"] > 0


@pytest.mark.slow
def test_a_file_in_place_of_the_folder_costs_no_pair(injected: Injected) -> None:
    tally = injected("pairs: a file in place of the folder", "embedded")
    assert tally.expected == tally.found == tally.sent
    assert 1 <= tally.signs["refused writes"] <= 2, "each worker says it once"
    assert tally.signs["resumed writes"] == tally.signs["refused writes"]


def test_the_table_has_every_fault_once_and_finds_it_by_a_part_of_its_name() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 20
    assert [fault.name for fault in faults.chosen(["kill -9", "os._exit"])] == [
        "candidate calls os._exit",
        "worker gets kill -9",
    ]
    assert faults.chosen([]) == list(FAULTS)


def test_the_last_line_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.main(["--list"]) == 0
    assert capsys.readouterr().out.count("\n") == len(FAULTS)
    last = faults.conclusion([]).splitlines()[-1]
    assert re.fullmatch(r"faults \d+, failed answers \d+, lost pairs \d+ \(uncounted \d+\)", last)


def test_a_name_that_no_fault_has_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        faults.main(["--only", "no such fault"])
    assert "no such fault" in capsys.readouterr().err
