"""The first pairs of a worker are not evidence on durations."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from comparison.counts.tables import Aggregates
from comparison.engines.sources import FramePairs
from comparison.pairs.reader import read_all
from flags.export import attributes
from tests.support.counting import aggregate
from tests.support.pair_files import BEGIN, FLAG, PairFile, Scored, failed

START = datetime.fromtimestamp(BEGIN / 1e9, UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the pairs of two workers, whose first ten of thirty are slow on the candidate."""
    for worker in ("w1", "w2"):
        file = PairFile(tmp_path, worker)
        for number in range(30):
            slow = Scored(duration=0.5 if number < 10 else 0.002)
            file.pair(Scored(duration=0.002), slow if number % 5 else failed("error"))
    return tmp_path


def counted(folder: Path, warm_up: int, step_since: datetime | None = None) -> Aggregates:
    return aggregate(
        FramePairs(read_all(folder)), flag=FLAG, warm_up=warm_up, step_since=step_since
    )


def calls(table: pd.DataFrame) -> dict[str, int]:
    return table.groupby("side")["n"].sum().to_dict()


def test_without_a_warm_up_every_answer_counts(folder: Path) -> None:
    assert calls(counted(folder, 0).durations) == {"primary": 60, "candidate": 48}


@pytest.mark.parametrize("warm_up", [1, 10, 29])
def test_the_first_pairs_of_each_worker_count_for_no_duration(folder: Path, warm_up: int) -> None:
    found = counted(folder, warm_up)
    answered = sum(1 for number in range(warm_up, 30) if number % 5)
    expected = {"primary": 2 * (30 - warm_up), "candidate": 2 * answered}
    assert calls(found.durations) == calls(found.blocks) == expected


def test_the_slow_beginning_is_gone(folder: Path) -> None:
    assert len(counted(folder, 9).durations.loc[lambda rows: rows["side"] == "candidate"]) == 2
    assert len(counted(folder, 10).durations.loc[lambda rows: rows["side"] == "candidate"]) == 1


def test_a_pair_without_a_number_counts(tmp_path: Path) -> None:
    """Nobody knows whether its worker had just begun."""
    file = PairFile(tmp_path)
    file.pair(changes={attributes.SEQUENCE: None})
    file.pair()
    assert calls(counted(tmp_path, 10).durations) == {"primary": 1, "candidate": 1}


def test_blocks_hold_those_of_the_step_and_durations_all(folder: Path) -> None:
    since = START + timedelta(seconds=0.2)  # pairs begin 10 ms apart
    found = counted(folder, 0, step_since=since)
    assert calls(found.durations) == {"primary": 60, "candidate": 48}
    assert calls(found.blocks) == {"primary": 2 * 11, "candidate": 2 * 9}
    assert set(found.blocks["block"]) == {BEGIN // 600_000_000_000}
