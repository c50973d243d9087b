"""Services and flags that share a folder do not touch each other's gates."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comparison.counts.step import worker_counts
from comparison.engines.sources import PairSource, open_source
from comparison.engines.tables import TablePairs
from comparison.evidence.build import evidence
from comparison.pairs.accounting import possible_workers
from comparison.pairs.compaction.runs import compact
from comparison.pairs.reader import read_pairs
from comparison.summary.conclusion import conclude
from comparison.summary.in_memory import summarise
from flags.export import attributes
from flags.export.worker_count import CountFile
from flags.gate.checks.integrity import integrity_checks
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook
from tests.support.count_tables import aggregates
from tests.support.pair_files import BEGIN, FLAG, PairFile

OTHER = "churn-model-v2"
LATER = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(hours=1)


def made(file: PairFile, pairs: int = 100, *, flag: str = FLAG, without: int = 0) -> PairFile:
    """Write pairs; the first `without` of them are lost."""
    file.flag = flag
    for number in range(pairs):
        span = file.span(changes={attributes.ROLLOUT: 0.0})
        if number >= without:
            file.write(span)
    return file


def started(folder: Path, worker: str, service: str | None) -> PairFile:
    file = PairFile(folder, worker, service=service)
    file.start()
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the pairs of a worker that has ended normally."""
    made(started(tmp_path / "pairs", "w1", "FraudDetector")).stop()
    return tmp_path / "pairs"


def as_it_is(folder: Path) -> PairSource:
    return open_source(folder)


def compacted(folder: Path) -> PairSource:
    into = folder.with_name("compacted")
    compact(folder, into)
    return open_source(into)


each_place = pytest.mark.parametrize("place", [as_it_is, compacted])


def checks(source: PairSource, flag: str = FLAG) -> dict[str, Check]:
    """Return the checks of integrity."""
    counted = aggregates(flag=flag, workers=worker_counts(source, flag))
    window = {"since": LATER - timedelta(hours=2), "until": LATER}
    found = evidence(
        counted, source=source.name, rollout=0.0, accounting=source.accounting, now=LATER, **window
    )
    playbook = Playbook(flag=flag)
    return {each.name: each for each in integrity_checks(found, playbook, playbook.steps[0])}


def outcomes(source: PairSource, flag: str = FLAG) -> tuple[Outcome, Outcome]:
    """Return the results of the checks of completeness and of the workers' ends."""
    found = checks(source, flag)
    return found["completeness"].outcome, found["worker_ends"].outcome


WHOLE = (Outcome.PASS, Outcome.PASS)
KILLED = (Outcome.PASS, Outcome.INCONCLUSIVE)


@each_place
def test_a_killed_worker_of_another_service_holds_its_own_flag_only(
    folder: Path, place: Callable[[Path], PairSource]
) -> None:
    made(started(folder, "w2", "ChurnModel"), flag=OTHER)
    source = place(folder)
    assert outcomes(source) == WHOLE
    assert outcomes(source, OTHER) == KILLED
    assert "worker w2" in checks(source, OTHER)["worker_ends"].reason


@each_place
def test_what_another_service_lost_is_lost_to_its_own_flag_only(
    folder: Path, place: Callable[[Path], PairSource]
) -> None:
    made(started(folder, "w2", "ChurnModel"), flag=OTHER, without=10).stop()
    source = place(folder)
    assert outcomes(source) == WHOLE
    assert "100 of 100" in checks(source)["completeness"].reason
    assert outcomes(source, OTHER) == (Outcome.FAIL, Outcome.PASS)
    assert "90 of 100" in checks(source, OTHER)["completeness"].reason


@each_place
def test_a_killed_worker_of_the_same_service_holds_every_flag_of_it(
    folder: Path, place: Callable[[Path], PairSource]
) -> None:
    """The worker has pairs of one flag; the lost ones may be pairs of the other."""
    made(started(folder, "w2", "FraudDetector"), flag=OTHER)
    source = place(folder)
    assert outcomes(source) == outcomes(source, OTHER) == KILLED


@each_place
@pytest.mark.parametrize(
    ("service", "expected"), [("FraudDetector", KILLED), ("ChurnModel", WHOLE)]
)
def test_a_worker_without_any_pair_counts_for_its_service(
    folder: Path, place: Callable[[Path], PairSource], service: str, expected: tuple[Outcome, ...]
) -> None:
    started(folder, "w2", service)
    CountFile(folder, "w2", service).write(0, 0)
    found = checks(place(folder))
    assert found["completeness"].outcome is expected[0]
    assert found["worker_ends"].outcome is Outcome.PASS  # it made nothing that could be missing


@each_place
@pytest.mark.parametrize(
    ("service", "expected"), [("FraudDetector", Outcome.FAIL), ("ChurnModel", Outcome.PASS)]
)
def test_pairs_of_which_none_was_found_are_missed_in_their_service(
    folder: Path, place: Callable[[Path], PairSource], service: str, expected: Outcome
) -> None:
    """The worker could write no pair, as on a full disk."""
    started(folder, "w2", service)
    CountFile(folder, "w2", service).write(500, 500, closed=True)
    assert outcomes(place(folder))[0] is expected


def test_a_count_of_a_service_that_is_not_known_counts_for_all(folder: Path) -> None:
    started(folder, "w2", None)
    CountFile(folder, "w2").write(500, 500, closed=True)
    assert outcomes(as_it_is(folder))[0] is Outcome.FAIL


def test_a_table_of_pairs_alone_tells_workers_apart_by_their_flags(folder: Path) -> None:
    made(started(folder, "w2", "ChurnModel"), flag=OTHER)
    with_gap = made(started(folder, "w3", "ChurnModel"), flag=OTHER)
    with_gap.given += 500
    made(with_gap, flag=OTHER)
    rows = TablePairs(open_source(folder).table(), "a table")
    assert outcomes(rows)[0] is Outcome.PASS
    assert outcomes(rows, OTHER)[0] is Outcome.FAIL


def test_a_first_comparison_is_not_held_by_the_workers_of_another_service(folder: Path) -> None:
    made(started(folder, "w2", "ChurnModel"), flag=OTHER, without=50).stop()
    ours, theirs = (
        " ".join(conclude(summarise(read_pairs(folder, flag=flag))).reasons)
        for flag in (FLAG, OTHER)
    )
    assert "missing" not in ours
    assert "50 of 100 pairs missing" in theirs


class TestWhoMayHaveMadePairsOfAFlag:
    def test_who_made_some(self) -> None:
        assert possible_workers("a", {"w1": ("a",), "w2": ("b",)}, {}) == {"w1"}

    def test_who_is_of_the_same_service(self) -> None:
        services = dict.fromkeys(("w1", "w2"), "one") | {"w3": "two"}
        assert possible_workers("a", {"w1": ("a",), "w2": ("b",), "w3": ()}, services) == {
            "w1",
            "w2",
        }

    def test_who_made_what_one_worker_makes_beside_it(self) -> None:
        flags = {"w1": ("a", "b"), "w2": ("b",), "w3": ("c",)}
        assert possible_workers("a", flags, {}) == {"w1", "w2"}

    def test_who_is_of_a_known_service_while_its_makers_are_not(self) -> None:
        flags = {"w1": ("a",), "w2": ("b",), "w3": ()}
        assert possible_workers("a", flags, {"w2": "two", "w3": "two"}) == {"w1", "w3"}

    def test_who_is_not_known_at_all(self) -> None:
        assert possible_workers("a", {"w1": ("a",), "w2": ()}, {"w1": "one"}) == {"w1", "w2"}
