"""Axes: positions, and ticks that a reader expects."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comparison.report.html.charts.scales import (
    Axis,
    TimeScale,
    short,
    short_percent,
    short_seconds,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
LARGEST = 1.7976931348623157e308


@example(0.0, 5e-324, 0.0)
@example(5e-324, 5e-324, 0.0)
@example(1.0, 1.0000000000000002, 1.0)
@example(-LARGEST, LARGEST, 0.0)
@example(LARGEST, LARGEST, 0.0)
@given(FINITE, FINITE, FINITE)
def test_a_linear_scale_keeps_order_and_stays_within_its_ends(
    low: float, high: float, value: float
) -> None:
    scale = Axis.linear(min(low, high), max(low, high), 50, 390)
    assert 50 <= scale(value) <= 390
    assert scale(scale.low) == 50
    assert scale(scale.high) == 390
    places = [tick.at for tick in scale.ticks(short)]
    assert places == sorted(places)
    assert len(places) <= 7


@example(5e-324, 5e-324)
@example(5e-324, LARGEST)
@example(LARGEST, LARGEST)
@example(1.0, 1.0000000000000002)
@given(POSITIVE, POSITIVE)
def test_a_logarithmic_scale_has_ticks_within_its_ends(low: float, high: float) -> None:
    scale = Axis.logarithmic(min(low, high), max(low, high), 210, 10)
    ticks = scale.ticks(short)
    assert 1 <= len(ticks) <= 8
    assert all(10 <= tick.at <= 210 for tick in ticks)


@example(5e-324)
@example(LARGEST)
@given(POSITIVE)
def test_a_root_scale_begins_at_0_and_spreads_its_ticks(high: float) -> None:
    scale = Axis.root(high, 0, 600)
    places = [tick.at for tick in scale.ticks(short)]
    assert places[0] == 0
    assert all(after - before >= 99 for before, after in pairwise(places))


def test_ticks_are_round_numbers() -> None:
    assert Axis.linear(0, 0.97, 0, 100).tick_values == (0, 0.2, 0.4, 0.6, 0.8)
    assert Axis.logarithmic(0.0008, 1, 0, 100).tick_values == (0.001, 0.01, 0.1, 1)
    assert Axis.logarithmic(0.5, 6, 0, 100).tick_values == (0.5, 1, 2, 5)
    assert Axis.root(0.26, 0, 100).tick_values == (0, 0.01, 0.05, 0.1, 0.2)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(minutes=4), ["Jul 17 06:00", "06:01", "06:02", "06:03", "06:04"]),
        (timedelta(hours=20), ["Jul 17 06:00", "12:00", "18:00", "Jul 18"]),
        (timedelta(days=7), ["Jul 18", "Jul 20", "Jul 22", "Jul 24"]),
        (timedelta(days=400), ["Jul 18", "Oct 16", "Jan 14", "Apr 14", "Jul 13"]),
        (timedelta(0), ["Jul 17 06:00"]),
    ],
)
def test_times_are_round_too(span: timedelta, words: list[str]) -> None:
    first = datetime(2018, 7, 17, 6, tzinfo=UTC)
    ticks = TimeScale(first, first + span, 0, 100).ticks()
    assert [tick.text for tick in ticks] == words
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_numbers_on_an_axis_are_short() -> None:
    assert [short(value) for value in (0, 0.5, 1500, 2e7, 3e-6)] == [
        "0",
        "0.5",
        "1,500",
        "2e7",
        "3e-6",
    ]
    assert [short_percent(value) for value in (0, 0.0123, 1)] == ["0 %", "1.23 %", "100 %"]
    assert [short_seconds(value) for value in (2e-5, 0.0031, 2)] == ["20 µs", "3.1 ms", "2 s"]
