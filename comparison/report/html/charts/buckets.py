"""The parts of a window that a chart shows: as many as can be told apart, at round times."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from flags.gate.blocks import total
from flags.gate.evidence import Period

POINTS: Final = 30
"""Points of a chart, at most."""

_EPOCH: Final = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday: weeks begin there."""
_SIZES: Final = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080, 20160)
)


def buckets(periods: Sequence[Period], at_most: int = POINTS) -> tuple[timedelta, list[Period]]:
    """Return the size of a bucket, and the buckets that have pairs, in order of time."""
    if not periods:
        return _SIZES[0], []
    size = _size(periods[0].start, periods[-1].start, at_most)
    found: dict[int, list[Period]] = {}
    for each in periods:
        found.setdefault((each.start - _EPOCH) // size, []).append(each)
    return size, [
        Period(_EPOCH + number * size, total(each.alarms for each in within))
        for number, within in sorted(found.items())
    ]


def by_hour_of_day(periods: Iterable[Period]) -> list[tuple[int, Period]]:
    """Return (hour, its periods of all days added up) for the hours in UTC that have pairs."""
    return _by(periods, lambda time: time.astimezone(UTC).hour)


def by_week_day(periods: Iterable[Period]) -> list[tuple[int, Period]]:
    """Return (day, its periods of all weeks added up), Monday first, in UTC."""
    return _by(periods, lambda time: time.astimezone(UTC).weekday())


def size_text(size: timedelta) -> str:
    """Write the size of a bucket: `30 minutes`, `1 day`."""
    for unit, length in (("week", 10_080), ("day", 1_440), ("hour", 60), ("minute", 1)):
        count, rest = divmod(size, timedelta(minutes=length))
        if count and not rest:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{size}"


def _size(first: datetime, last: datetime, at_most: int) -> timedelta:
    for size in _SIZES:
        if (last - _EPOCH) // size - (first - _EPOCH) // size < at_most:
            return size
    weeks = _SIZES[-1]
    while (last - _EPOCH) // weeks - (first - _EPOCH) // weeks >= at_most:
        weeks *= 2
    return weeks


def _by(periods: Iterable[Period], key: Callable[[datetime], int]) -> list[tuple[int, Period]]:
    found: dict[int, list[Period]] = {}
    for each in periods:
        found.setdefault(key(each.start), []).append(each)
    return [
        (number, Period(within[0].start, total(each.alarms for each in within)))
        for number, within in sorted(found.items())
    ]
