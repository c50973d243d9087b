"""Charts over time: not too many points, at round times in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.report.html.charts.buckets import (
    buckets,
    by_hour_of_day,
    by_week_day,
    size_text,
)
from comparison.report.html.charts.ratio_axis import RatioLimits
from comparison.report.html.charts.rhythm import ratio_by_hour, ratio_by_week_day
from comparison.report.html.output_view import confidence_sequence
from flags.gate.blocks import POINTS
from flags.gate.evidence import Paired, Period

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def periods(span: timedelta, size: timedelta) -> list[Period]:
    return [Period(MONDAY + n * size, Paired(1, 2, 3, 4)) for n in range(span // size)]


@pytest.mark.parametrize(
    ("span", "every", "size"),
    [
        (10 * MINUTE, MINUTE, "1 minute"),
        (2 * HOUR, MINUTE, "5 minutes"),
        (DAY, HOUR, "1 hour"),
        (7 * DAY, HOUR, "6 hours"),
        (24 * DAY, HOUR, "1 day"),
        (120 * DAY, HOUR, "1 week"),
    ],
)
def test_buckets_fit_the_window(span: timedelta, every: timedelta, size: str) -> None:
    found, drawn = buckets(periods(span, every))
    assert size_text(found) == size
    assert 8 <= len(drawn) <= POINTS


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60, unique=True).map(sorted))
def test_buckets_hold_every_pair_once_at_round_times(hours: list[int]) -> None:
    """Hours without pairs make no bucket longer than another."""
    size, drawn = buckets([Period(MONDAY + n * HOUR, Paired(1, 0, 2, 0)) for n in hours])
    assert sum(each.alarms.both for each in drawn) == len(hours)
    assert len(drawn) <= POINTS
    assert all((each.start - datetime(1970, 1, 5, tzinfo=UTC)) % size == 0 * HOUR for each in drawn)


def test_a_one_sided_limit_is_drawn_on_its_side_alone() -> None:
    both, one = RatioLimits(1.1, 1.25), RatioLimits(1 / 1.1, 1 / 1.25, is_one_sided=True)
    assert [limit for _, limit in both.lines] == [1.1, 1.25, 1 / 1.1, 1 / 1.25]
    assert one.lines == [("limit advance", 1 / 1.1), ("limit rollback", 1 / 1.25)]


def test_hours_and_days_are_those_of_utc_and_added_up() -> None:
    fortnight = periods(14 * DAY, HOUR)
    hours, days = by_hour_of_day(fortnight), by_week_day(fortnight)
    assert [hour for hour, _ in hours] == list(range(24))
    assert {each.alarms.pairs for _, each in hours} == {14 * 10}
    assert [day for day, _ in days] == list(range(7))
    assert {each.alarms.pairs for _, each in days} == {2 * 24 * 10}


def test_a_ratio_that_is_high_every_evening_is_drawn_by_hour_and_not_by_day() -> None:
    made = [
        Period(MONDAY + n * HOUR, Paired(40, 10, 60 if n % 24 == 20 else 10, 900))
        for n in range(14 * 24)
    ]
    limits = RatioLimits(1.1, 1.25)
    hours = ratio_by_hour("h", made, confidence_sequence, limits)
    days = ratio_by_week_day("d", made, confidence_sequence, limits)
    assert hours is not None
    assert days is not None
    assert hours.x_label == days.x_label == "UTC"
    assert hours.description == "Highest 2.00 (20:00), lowest 1.00 (00:00)."
    assert days.description == "Highest 1.04 (Mon), lowest 1.04 (Mon)."


def test_less_than_a_day_has_no_hours_and_less_than_a_week_no_days() -> None:
    assert ratio_by_hour("h", periods(20 * HOUR, HOUR), confidence_sequence, None) is None
    assert ratio_by_week_day("d", periods(6 * DAY, HOUR), confidence_sequence, None) is None
