"""Pairs whose time cannot be are set aside, and counted."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison.engines.clocks import DatedPairs
from comparison.engines.tables import TablePairs, nanoseconds
from comparison.judgement.flag_pairs import FlagPairs

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

Row = tuple[str | None, int, int]
"""Worker, time and number."""


def spread(hour: int, numbers: range, worker: str | None = "w1") -> list[Row]:
    """Return rows (worker, time, sequence) spread over an hour since BEGIN."""
    step = HOUR / (len(numbers) + 1)
    return [
        (worker, nanoseconds(BEGIN + hour * HOUR + place * step), number)
        for place, number in enumerate(numbers, start=1)
    ]


def shown(rows: Iterable[Row]) -> ibis.expr.types.Table:
    workers, times, numbers = zip(*rows, strict=True)
    columns = {
        "worker": pa.array(workers, pa.string()),
        "time": pa.array(times, pa.int64()),
        "sequence": pa.array(numbers, pa.int64()),
    }
    return ibis.memtable(pa.table(columns))


def dated(rows: Iterable[Row], now: datetime | None = None) -> DatedPairs:
    return DatedPairs.of(TablePairs(shown(rows), "pairs"), now or BEGIN + 100 * HOUR)


def numbers(pairs: DatedPairs) -> list[int]:
    return sorted(pairs.table().select("sequence").to_pyarrow()["sequence"].to_pylist())


def test_numbers_that_ascend_with_the_hours_are_believed() -> None:
    pairs = dated([*spread(0, range(1, 11)), *spread(1, range(11, 21)), *spread(9, range(21, 31))])
    assert pairs.impossible_times == 0
    assert numbers(pairs) == list(range(1, 31))


def test_what_is_dated_1970_or_in_the_future_is_set_aside() -> None:
    ahead = (BEGIN + timedelta(minutes=50), BEGIN + timedelta(minutes=70))
    rows = [("w1", 0, 1), *(("w1", nanoseconds(time), n) for n, time in enumerate(ahead, start=2))]
    pairs = dated(rows, now=BEGIN)
    assert numbers(pairs) == [2]  # a clock may be ahead by less than an hour


def test_only_pairs_of_the_flag_are_counted_among_those_set_aside() -> None:
    rows = shown([("w1", 0, 1), ("w1", 1, 2), ("w1", nanoseconds(BEGIN), 3)])
    table = rows.mutate(flag=ibis.ifelse(rows.sequence == 2, "other-v2", "fraud-v2"))
    pairs = FlagPairs("fraud-v2", TablePairs(table, "pairs")).with_possible_times(BEGIN + HOUR)
    assert pairs.impossible_times == 1


def test_the_future_counts_by_whole_hours_and_is_never_shown() -> None:
    pairs = dated([*spread(0, range(1, 4)), *spread(5, range(4, 6))], now=BEGIN)
    assert (pairs.impossible_times, numbers(pairs)) == (2, [1, 2, 3])


def test_a_clock_that_was_set_back_dates_the_fewer_pairs_wrongly() -> None:
    pairs = dated(
        [*spread(10, range(1, 101)), *spread(5, range(101, 151)), *spread(11, range(151, 251))]
    )
    assert pairs.impossible_times == 50
    assert numbers(pairs) == [*range(1, 101), *range(151, 251)]


def test_a_clock_that_was_ahead_dates_the_fewer_pairs_wrongly() -> None:
    pairs = dated([*spread(40, range(1, 6)), *spread(10, range(6, 106))])
    assert (pairs.impossible_times, numbers(pairs)) == (5, list(range(6, 106)))


def test_hours_that_touch_may_overlap() -> None:
    """A pair that took long is numbered after those that were accepted later."""
    pairs = dated([*spread(0, range(5, 15)), *spread(1, range(1, 5))])
    assert pairs.impossible_times == 0


def test_another_worker_in_the_same_hour_is_believed() -> None:
    rows = [*spread(10, range(1, 101)), *spread(5, range(101, 111))]
    pairs = dated([*rows, *spread(5, range(1001, 1011), "w2"), *spread(5, range(2001, 2003), None)])
    assert pairs.impossible_times == 10
    assert numbers(pairs) == [*range(1, 101), *range(1001, 1011), *range(2001, 2003)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=12),
    st.lists(st.integers(1, 5), min_size=12, max_size=12),
)
def test_a_clock_that_runs_forward_never_loses_a_pair(counts: list[int], steps: list[int]) -> None:
    rows, hour, number = [], 0, 1
    for count, step in zip(counts, steps, strict=False):
        rows += spread(hour, range(number, number + count))
        hour, number = hour + step, number + count
    assert dated(rows).impossible_times == 0


def test_what_was_repeated_is_dated_too() -> None:
    class Repeated(TablePairs):
        def repeated(self) -> ibis.expr.types.Table:  # type: ignore[override]
            return ibis.memtable(pa.table({"flag": ["a", "a"], "time": [0, nanoseconds(BEGIN)]}))

    held = shown(spread(0, range(1, 3)))
    found = DatedPairs.of(Repeated(held, "pairs"), BEGIN).repeated()
    assert found is not None
    assert found.count().to_pyarrow().as_py() == 1
