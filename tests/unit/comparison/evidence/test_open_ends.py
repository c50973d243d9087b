"""A loss at the end of a record is known by number, or the gate holds and names the worker."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from comparison.engines.sources import PairSource, open_source
from comparison.engines.tables import TablePairs
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.pairs.compaction.runs import compact
from comparison.pairs.files import read_blocks
from comparison.pairs.opening import STATE_FILE
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.reader import read_pairs
from flags.export import attributes
from flags.export.worker_count import FOLDER, SUFFIX, CountFile
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook
from tests.support.pair_files import FLAG, PairFile

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def file(tmp_path: Path) -> PairFile:
    """Return the file of a running worker with a thousand recent pairs."""
    file = PairFile(tmp_path / "pairs", "w1")
    file.start()
    for number in range(1000):
        made = file.span(changes={attributes.ROLLOUT: 0.0})
        began = int(NOW.timestamp() * 1e9) - (1000 - number) * 1_000_000
        made["startTimeUnixNano"], made["endTimeUnixNano"] = str(began), str(began + 1000)
        file.write(made)
    return file


def checks(folder: Path, now: datetime, unknown_loss: float = 0.001) -> dict[str, Check]:
    return checks_of(open_source(folder), now, unknown_loss)


def checks_of(source: PairSource, now: datetime, unknown_loss: float = 0.001) -> dict[str, Check]:
    step = {"stage": "shadow", "rollout": 0, "hold": "0s", "min_pairs": 1}
    limits = {"advance": {"unknown_loss": unknown_loss}}
    playbook = Playbook.model_validate({"flag": FLAG, "steps": [step], "gate": limits})
    found = FlagPairs(FLAG, source)
    _, judgement = judge(found, playbook, now=now, window=TimeWindow(), additions=Additions())
    return {check.name: check for check in judgement.verdict.checks}


def as_it_is(folder: Path) -> Path:
    return folder


def compacted(folder: Path) -> Path:
    compact(folder, folder.with_name("compacted"))
    return folder.with_name("compacted")


each_place = pytest.mark.parametrize("place", [as_it_is, compacted])


@each_place
def test_a_worker_that_runs_lacks_nothing(
    file: PairFile, tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    check = checks(place(tmp_path / "pairs"), NOW + timedelta(seconds=1))["worker_ends"]
    assert check.outcome is Outcome.PASS


@each_place
def test_one_that_closed_its_record_lacks_nothing_for_ever(
    file: PairFile, tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    file.stop()
    assert checks(place(tmp_path / "pairs"), LATER)["worker_ends"].outcome is Outcome.PASS


def test_one_without_end_and_count_holds_by_name(file: PairFile, tmp_path: Path) -> None:
    """The folder was copied without its workers' files."""
    check = checks(tmp_path / "pairs", LATER)["worker_ends"]
    assert check.outcome is Outcome.INCONCLUSIVE
    assert f"worker w1 (last seen {NOW:%Y-%m-%d %H:%M}" in check.reason
    assert "the number of missing last pairs is not known" in check.reason


def test_a_playbook_may_accept_that_the_loss_is_not_known(file: PairFile, tmp_path: Path) -> None:
    check = checks(tmp_path / "pairs", LATER, unknown_loss=1)["worker_ends"]
    assert check.outcome is Outcome.PASS
    assert "the number of missing last pairs is not known" in check.reason


@pytest.mark.parametrize(("limit", "outcome"), [(0.1, Outcome.PASS), (0.09, Outcome.INCONCLUSIVE)])
def test_one_that_was_killed_may_lack_what_it_makes_between_two_counts(
    file: PairFile, tmp_path: Path, limit: float, outcome: Outcome
) -> None:
    count = CountFile(tmp_path / "pairs", "w1")
    count.write(950, 0)
    count._most = 0
    count.write(1000, 0)
    found = checks(tmp_path / "pairs", LATER, limit)
    assert found["completeness"].outcome is Outcome.PASS
    assert found["worker_ends"].outcome is outcome
    assert "worker w1" in found["worker_ends"].reason
    assert "at most 100 pairs" in found["worker_ends"].reason


def test_what_was_compacted_is_as_of_then(file: PairFile, tmp_path: Path) -> None:
    CountFile(tmp_path / "pairs", "w1").write(1000, 0)
    into = compacted(tmp_path / "pairs")
    assert checks(into, LATER)["worker_ends"].outcome is Outcome.PASS
    os.utime(into / STATE_FILE, (time.time() + 600, time.time() + 600))
    assert checks(into, LATER)["worker_ends"].outcome is Outcome.INCONCLUSIVE


@each_place
@pytest.mark.parametrize("closed", [True, False])
def test_what_a_full_disk_took_at_the_end_is_known_by_number(
    file: PairFile, tmp_path: Path, place: Callable[[Path], Path], *, closed: bool
) -> None:
    CountFile(tmp_path / "pairs", "w1").write(1380, 380, closed=closed)
    folder = place(tmp_path / "pairs")
    read = read_pairs(folder).accounting
    assert (read.found, read.expected) == (1000, 1380)
    assert read.workers[0].dropped == 380
    assert read.workers[0].stopped is closed
    check = checks(folder, LATER)["completeness"]
    assert check.outcome is Outcome.FAIL
    assert "1,000 of 1,380" in check.reason


def test_a_later_compaction_knows_more(file: PairFile, tmp_path: Path) -> None:
    count = CountFile(tmp_path / "pairs", "w1")
    count.write(1000, 0)
    into = compacted(tmp_path / "pairs")
    assert not read_pairs(into).accounting.workers[0].stopped
    count.write(1000, 0, closed=True)
    assert read_pairs(compacted(tmp_path / "pairs")).accounting.workers[0].stopped


@pytest.mark.parametrize(("limit", "outcome"), [(0.99, Outcome.INCONCLUSIVE), (1, Outcome.PASS)])
def test_a_table_of_pairs_alone_says_nothing_of_the_ends(
    file: PairFile, tmp_path: Path, limit: float, outcome: Outcome
) -> None:
    file.stop()
    rows = TablePairs(open_source(tmp_path / "pairs").table(), "a table")
    check = checks_of(rows, LATER, limit)["worker_ends"]
    assert check.outcome is outcome
    assert "without the records of the workers" in check.reason


def test_what_a_worker_makes_while_its_pairs_are_read_is_not_missing(tmp_path: Path) -> None:
    """On a busy machine, reading takes seconds, while the service still writes."""
    file = PairFile(tmp_path / "pairs", "w1")
    file.start()
    for _ in range(20):
        file.pair()
    count = CountFile(tmp_path / "pairs", "w1")
    count.write(20, 0)
    counts = ReadCounts()
    blocks = read_blocks(tmp_path / "pairs", counts)
    next(blocks)
    count.write(500, 0)
    list(blocks)
    assert [each.pairs for each in counts.worker_counts] == [20]


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, 0),
        ({"most": 14}, 30),
        ({"at": 6_000_000_000}, 30),
        ({"dropped": 1}, 30),
        ({"closed": True}, 30),
    ],
    ids=["on their way", "more than there ever were", "a while ago", "dropped", "at its end"],
)
def test_pairs_of_the_last_moment_are_on_their_way_and_not_missing(
    file: PairFile, tmp_path: Path, changes: dict[str, Any], missing: int
) -> None:
    """A worker counts once a second, and writes its lines a moment later."""
    count = {"worker": "w1", "pairs": 1_030, "dropped": 0, "most": 20, **changes}
    count["at"] = time.time_ns() - changes.get("at", 0)
    path = tmp_path / "pairs" / FOLDER / f"w1{SUFFIX}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps(count))
    read = read_pairs(tmp_path / "pairs").accounting
    assert (read.found, read.expected) == (1_000, 1_000 + missing)


@each_place
def test_a_pair_whose_time_cannot_be_is_set_aside_and_not_missing(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    file = PairFile(tmp_path / "pairs", "w1")
    file.start()
    for number in range(1000):
        made = file.span(changes={attributes.ROLLOUT: 0.0})
        began = 1_000 if 300 <= number < 400 else int(NOW.timestamp() * 1e9) - 1000 + number
        made["startTimeUnixNano"], made["endTimeUnixNano"] = str(began), str(began + 1000)
        file.write(made)
    file.stop()
    check = checks(place(tmp_path / "pairs"), LATER)["completeness"]
    assert check.outcome is Outcome.PASS
    assert "1,000 of 1,000" in check.reason


@each_place
def test_two_processes_of_one_name_hold_since_they_hide_each_other_s_losses(
    file: PairFile, place: Callable[[Path], Path]
) -> None:
    """A snapshot of memory was restored twice: both workers continue from the same number."""
    whole = checks(place(file.path.parent), LATER)["completeness"]
    assert whole.outcome is Outcome.PASS
    for number in (999, 1000, 1001, 1002):
        made = file.span(changes={attributes.SEQUENCE: number, attributes.ROLLOUT: 0.0})
        began = int(NOW.timestamp() * 1e9) + number
        made["startTimeUnixNano"], made["endTimeUnixNano"] = str(began), str(began + 1000)
        file.write(made)
    found = checks(place(file.path.parent), LATER)["completeness"]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reason.startswith(
        "1,002 of 1,002 numbered pairs found (100 %, limit 99.9 %), but 2 pairs with the number of "
        "another one of the same worker: two processes go by its name"
    )
