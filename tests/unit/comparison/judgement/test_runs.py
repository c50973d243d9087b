"""When the present rollout began."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from comparison.judgement.runs import SECOND, PairRun, latest_run, rollouts, slot_size

BEGIN = datetime(2025, 11, 24, 6, tzinfo=UTC)


def minutes(*rows: tuple[int, float, int]) -> pd.DataFrame:
    """Make the counts of (minute, rollout, pairs); the pairs of a minute are spread over it."""
    start = int(BEGIN.timestamp()) // 60
    return pd.DataFrame(
        {
            "slot": [start + minute for minute, _, _ in rows],
            "rollout": [rollout for _, rollout, _ in rows],
            "n": [n for *_, n in rows],
            "first": [(start + minute) * 60 * SECOND + 1_000_000_000 for minute, _, _ in rows],
            "last": [(start + minute) * 60 * SECOND + 59_000_000_000 for minute, _, _ in rows],
        }
    ).astype({"slot": "int64", "n": "int64", "rollout": "float64"})


def at(minute: int, second: int) -> datetime:
    return BEGIN + timedelta(minutes=minute, seconds=second)


def test_a_run_begins_with_the_first_pair_at_its_rollout() -> None:
    run = latest_run(minutes((0, 5, 100), (1, 5, 100), (2, 10, 100), (3, 10, 100)))
    assert run is not None
    assert (run.rollout, run.since, run.newest) == (10, at(2, 1), True)
    assert at(3, 59) < run.until <= at(3, 60)


def test_workers_that_follow_later_do_not_break_a_run() -> None:
    counts = minutes((0, 5, 100), (1, 5, 60), (1, 10, 40), (2, 5, 3), (2, 10, 97), (3, 10, 100))
    run = latest_run(counts)
    assert run is not None
    assert (run.rollout, run.since) == (10, at(1, 1))


def test_a_straggler_at_the_end_does_not_decide() -> None:
    run = latest_run(minutes((0, 10, 100), (1, 10, 100), (1, 5, 1)))
    assert run is not None
    assert (run.rollout, run.since) == (10, at(0, 1))


def test_only_the_latest_of_several_runs_counts() -> None:
    counts = minutes((0, 10, 50), (1, 0, 50), (5, 10, 50))
    run = latest_run(counts)
    assert run is not None
    assert run.since == at(5, 1)


def test_an_earlier_rollout_ends_where_another_follows() -> None:
    counts = minutes((0, 1, 50), (1, 5, 50), (2, 5, 50), (3, 10, 50))
    run = latest_run(counts, 5)
    assert run is not None
    assert (run.since, run.newest) == (at(1, 1), False)
    assert run.until < at(3, 0)


def test_a_lone_worker_that_lags_behind_does_not_decide_where_pairs_are_rare() -> None:
    rows = [(minute, 5 if minute % 4 == 3 else 10, 1) for minute in range(100, 400)]
    run = latest_run(minutes((0, 5, 50), *rows))
    assert run is not None
    assert (run.rollout, run.since, run.newest) == (10, at(100, 1), True)


def test_slots_are_a_second_to_a_minute_long() -> None:
    hour = 3_600 * SECOND
    assert [slot_size(span) for span in (0, hour, 700 * hour)] == [
        SECOND,
        36 * SECOND // 10,
        60 * SECOND,
    ]


def test_nights_without_pairs_do_not_end_a_run() -> None:
    run = latest_run(minutes((0, 10, 50), (600, 10, 50)))
    assert run is not None
    assert run.since == at(0, 1)


def test_pairs_that_name_no_rollout_are_passed_over() -> None:
    run = latest_run(minutes((0, 10, 50), (1, float("nan"), 500), (2, 10, 50)))
    assert run is not None
    assert run.since == at(0, 1)


@pytest.mark.parametrize("counts", [minutes(), minutes((0, float("nan"), 5))])
def test_without_a_rollout_there_is_no_run(counts: pd.DataFrame) -> None:
    assert latest_run(counts) is None
    assert latest_run(minutes((0, 5, 1)), 10) is None
    assert rollouts(counts) == []


def test_a_single_pair_is_a_run_that_covers_it() -> None:
    counts = minutes((0, 10, 1))
    counts["last"] = counts["first"]
    run = latest_run(counts)
    assert run == PairRun(10, at(0, 1), at(0, 1) + timedelta(microseconds=1), newest=True)
