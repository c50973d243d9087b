"""That the faults' bookkeeping sees what went wrong: spoilt answers, lost pairs, missing signs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comparison.pairs.reader import read_pairs
from flags.export import attributes
from load_tests.fault import Excuse
from load_tests.steady_load import Reply
from load_tests.tally import Run, Tally
from tests.support.pair_files import BEGIN, PairFile, Scored, failed

ASKED = 10
START = BEGIN / 1e9
"""When the first pair began, but for 10 ms."""


def assigned(request_id: str) -> str:
    """Return the side that the flag gives a request to: every other one is the candidate's."""
    return "candidate" if int(request_id.rpartition("-")[2]) % 2 == 0 else "primary"


def reply(number: int, **others: Any) -> Reply:
    """Return the good answer to the request of the worker's pair of this number."""
    request_id = f"w1-request-{number}"
    side, began = assigned(request_id), START + number / 100
    score = 0.5 if side == "candidate" else 0.25
    given = Reply(
        request_id, {"amount": 0.5}, 200, side, {"by": side, "score": score}, began, began + 0.005
    )
    return replace(given, **others)


class Folder:
    """A run of ten requests that went well, to be spoilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = PairFile(folder, "w1")
        self.file.start()

    def pairs(self, *numbers: int, **options: Any) -> None:
        """Write the pairs of these numbers, which are the only ones if nothing else is written."""
        for number in numbers:
            self.file.given = number - 1
            self.file.pair(active=assigned(f"-{number}"), **options)

    def run(self, *changed: Reply, **others: Any) -> Run:
        """Return the run with the good replies, those of the same id changed."""
        replies = {each.request_id: each for each in map(reply, range(1, ASKED + 1))}
        replies |= {each.request_id: each for each in changed}
        run = Run(
            list(replies.values()), read_pairs(self.folder), START, START + 1, assigned=assigned
        )
        return replace(run, **others)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


ALL = range(1, ASKED + 1)


def test_a_run_without_a_fault_has_nothing_to_count(folder: Folder) -> None:
    folder.pairs(*ALL)
    folder.file.stop()
    tally = Tally.of(folder.run())
    assert (tally.sent, tally.expected, tally.found) == (10, 10, 10)
    assert (tally.failed, tally.excused, tally.wrong) == (0, 0, 0)
    assert (tally.lost, tally.uncounted, tally.dropped) == (0, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "candidate"},
        {"got": {"by": "primary", "score": 0.26}},
        {"got": {"by": "primary", "score": float("nan")}},
        {"got": {"by": "candidate", "score": 0.25}},
        {"got": {"unexpected": True}},
        {"got": b"<html>"},
        {"side": "candidate", "got": {"by": "candidate", "score": 0.5}},
        {"side": None},
    ],
)
def test_an_answer_that_is_not_the_assigned_sides_is_wrong(
    folder: Folder, changes: dict[str, Any]
) -> None:
    folder.pairs(*ALL)
    folder.file.stop()
    assert Tally.of(folder.run(reply(3, **changes))).wrong == 1


@pytest.mark.parametrize(
    ("candidate", "changes", "wrong"),
    [
        (failed("timeout"), {attributes.FALLBACK: True, attributes.SERVED: "primary"}, 0),
        (failed("timeout"), {attributes.SERVED: "primary"}, 1),
        (failed("timeout"), {attributes.FALLBACK: True}, 1),
        (Scored(), {attributes.FALLBACK: True, attributes.SERVED: "primary"}, 1),
    ],
)
def test_the_primary_may_answer_for_a_candidate_that_failed_and_the_pair_says_so(
    folder: Folder, candidate: Scored, changes: dict[str, Any], wrong: int
) -> None:
    folder.pairs(*[number for number in ALL if number != 4])
    folder.pairs(4, candidate=candidate, changes=changes)
    folder.file.given = ASKED
    folder.file.stop()
    instead = reply(4, side="primary", got={"by": "primary", "score": 0.25})
    assert Tally.of(folder.run(instead)).wrong == wrong


def test_a_failed_answer_is_excused_only_for_what_the_fault_is_and_while_it_lasts(
    folder: Folder,
) -> None:
    folder.pairs(*ALL)
    folder.file.stop()
    refused = reply(3, status=500, side=None)
    broken = reply(5, status=0, side=None)
    candidates = reply(4, status=500, side=None)
    late = reply(7, status=500, side=None, began=START + 30, ended=START + 30.1)
    left = reply(9, status=0, side=None, left=True)
    run = folder.run(refused, broken, candidates, late, left)
    found = [Tally.of(replace(run, excuse=excuse)) for excuse in Excuse]
    assert [(tally.failed, tally.excused) for tally in found] == [(4, 0), (3, 1), (3, 1)]


def test_a_lost_pair_is_counted_where_its_number_is_missing(folder: Folder) -> None:
    folder.pairs(1, 2, 3, 5, 6, 7, 8, 9)
    folder.file.given = ASKED
    folder.file.stop()
    tally = Tally.of(folder.run())
    assert (tally.lost, tally.uncounted) == (2, 0)
    assert tally.signs["gap"] == 2


def test_a_lost_pair_that_nothing_tells_of_is_uncounted(folder: Folder) -> None:
    folder.pairs(1, 2, 3, 4, 5, 6, 7, 8)
    folder.file.given = 8
    folder.file.stop()  # as if the last two had never been
    tally = Tally.of(folder.run())
    assert (tally.lost, tally.uncounted) == (2, 2)
    tally = Tally.of(folder.run(counted={"drop enospc": 2, "retry timeout": 7}))
    assert (tally.lost, tally.uncounted, tally.dropped) == (2, 0, 2)


def test_a_record_without_an_end_accounts_for_its_last_second_and_no_more(folder: Folder) -> None:
    folder.pairs(1, 2, 3, 4, 5, 6, 7, 8)
    tally = Tally.of(folder.run())
    assert (tally.lost, tally.uncounted) == (2, 0)
    assert tally.signs["open record"] == 1
    tally = Tally.of(folder.run(reply(10, began=START + 5, ended=START + 5.1)))
    assert (tally.lost, tally.uncounted) == (2, 1)


def test_pairs_before_the_oldest_file_are_told_by_their_numbers(folder: Folder) -> None:
    folder.file.path.unlink()
    folder.pairs(*range(5, ASKED + 1))
    folder.file.stop()
    tally = Tally.of(folder.run())
    assert (tally.lost, tally.uncounted) == (4, 0)


def test_a_pair_that_never_reached_its_receiver_is_lost_though_it_is_on_disk(
    folder: Folder,
) -> None:
    folder.pairs(*ALL)
    folder.file.stop()
    shipped = frozenset(each.request_id for each in map(reply, range(1, ASKED)))
    tally = Tally.of(folder.run(shipped=shipped, shipped_twice=3))
    assert (tally.found, tally.lost, tally.uncounted) == (9, 1, 1)
    assert tally.signs["received twice"] == 3


def test_signs_are_read_from_pairs_counters_answers_and_log(folder: Folder) -> None:
    folder.pairs(1, 2, 3, candidate=failed("error", "RuntimeError"))
    folder.pairs(4, primary=Scored(duration=0.5))
    folder.pairs(*range(5, ASKED + 1))
    folder.file.stop()
    late = reply(6, ended=START + 9)
    log = "pairs cannot be written to /x (full)\npairs are written to /x again\n"
    signs = Tally.of(folder.run(late, counted={"retry http_503": 4}, log=log)).signs
    assert signs["candidate error"] == 3
    assert signs["slow primary"] == 1
    assert signs["slow candidate"] == 0
    assert signs["late answers"] == 1
    assert signs["retry http_503"] == 4
    assert (signs["refused writes"], signs["resumed writes"]) == (1, 1)
    assert signs["flag SPLIT"] == ASKED
