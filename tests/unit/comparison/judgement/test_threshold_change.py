"""The beginning of the candidate's present threshold."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from comparison.judgement.runs import changed_at

BEGIN = datetime(2025, 11, 24, 6, tzinfo=UTC)
SECOND = 1_000_000_000
START = int(BEGIN.timestamp())

Rows = list[tuple[int, float | None, int]]


def seconds(rows: Rows, *, primary: list[float] | None = None) -> pd.DataFrame:
    """Create counts from (second, candidate's threshold, pairs), the last one at half past it."""
    return pd.DataFrame(
        {
            "slot": [START + second for second, _, _ in rows],
            "primary_threshold.p": primary or [0.5] * len(rows),
            "candidate_threshold.p": [threshold for _, threshold, _ in rows],
            "candidate_threshold.never": [None for _ in rows],
            "n": [n for *_, n in rows],
            "first": [(START + second) * SECOND for second, _, _ in rows],
            "last": [(START + second) * SECOND + SECOND // 2 for second, _, _ in rows],
        }
    ).astype({"candidate_threshold.p": "float64", "candidate_threshold.never": "float64"})


def after(second: int) -> datetime:
    return BEGIN + timedelta(seconds=second, milliseconds=500, microseconds=1)


def lasting(threshold: float, first: int, last: int) -> Rows:
    return [(second, threshold, 80) for second in range(first, last)]


@pytest.mark.parametrize("given", [True, False])
def test_one_threshold_leaves_the_window_as_it_is(given: bool) -> None:
    assert changed_at(seconds(lasting(0.5, 0, 300)), BEGIN, given=given) == BEGIN


@pytest.mark.parametrize("given", [True, False])
def test_what_slow_workers_still_decide_at_the_beginning_is_left_out(given: bool) -> None:
    rows = [(0, 0.5, 60), (0, 0.9, 20), (1, 0.5, 40), (1, 0.9, 40), (2, 0.5, 3), (2, 0.9, 77)]
    counts = seconds([*rows, *lasting(0.9, 3, 100)])
    assert changed_at(counts, BEGIN, given=given) == after(2)


def test_without_a_given_beginning_the_window_begins_with_the_change() -> None:
    counts = seconds([*lasting(0.5, 0, 4000), (4000, 0.5, 40), *lasting(0.9, 4000, 5000)])
    assert changed_at(counts, BEGIN, given=False) == after(4000)


def test_a_change_within_a_given_window_stays_a_mixture() -> None:
    counts = seconds([*lasting(0.5, 0, 4000), *lasting(0.9, 4000, 5000)])
    assert changed_at(counts, BEGIN, given=True) == BEGIN


def test_a_worker_that_never_follows_stays_a_mixture() -> None:
    counts = seconds(sorted([*lasting(0.9, 0, 300), *lasting(0.5, 0, 300)]))
    assert changed_at(counts, BEGIN, given=False) == BEGIN


def test_a_change_there_and_back_is_a_change() -> None:
    rows = [*lasting(0.5, 0, 100), *lasting(0.9, 100, 200), *lasting(0.5, 200, 300)]
    assert changed_at(seconds(rows), BEGIN, given=False) == after(199)


def test_calls_that_decided_nothing_are_not_a_change() -> None:
    rows = [*lasting(0.5, 0, 30), (5, None, 10)]
    assert changed_at(seconds(sorted(rows, key=lambda row: row[0])), BEGIN, given=False) == BEGIN


def test_thresholds_that_go_with_the_requests_are_not_a_change() -> None:
    rows = sorted([*lasting(0.5, 0, 300), *lasting(0.9, 0, 300)])
    primary = [threshold or 0.0 for _, threshold, _ in rows]
    assert changed_at(seconds(rows, primary=primary), BEGIN, given=False) == BEGIN


def test_a_change_of_both_thresholds_is_a_change() -> None:
    rows = [*lasting(0.5, 0, 20), *lasting(0.9, 20, 300)]
    primary = [threshold or 0.0 for _, threshold, _ in rows]
    assert changed_at(seconds(rows, primary=primary), BEGIN, given=False) == after(19)


def test_a_change_of_the_primary_s_threshold_alone_is_a_change() -> None:
    rows = [*lasting(0.5, 0, 300)]
    primary = [0.4] * 20 + [0.6] * 280
    assert changed_at(seconds(rows, primary=primary), BEGIN, given=False) == after(19)


def test_without_thresholds_nothing_changes() -> None:
    assert changed_at(seconds([(0, None, 80), (1, None, 80)]), BEGIN, given=False) == BEGIN


def test_a_worker_that_follows_late_does_not_hide_a_change() -> None:
    rows = [*lasting(0.5, 0, 4_000), *lasting(0.9, 4_000, 40_000)]
    late = [(second, 0.5, 8) for second in range(4_000, 5_000)]
    counts = seconds(sorted([*rows, *late]))
    assert changed_at(counts, BEGIN, given=False) == after(4_999)


def test_thresholds_of_a_few_requests_are_not_a_change() -> None:
    rows = sorted([*lasting(0.9, 0, 4_000), *((second, 0.5, 1) for second in range(4_000))])
    assert changed_at(seconds(rows), BEGIN, given=False) == BEGIN
