"""The parts of a window that a chart shows: as many as can be told apart, at round times."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from flags.gate.blocks import EPOCH, POINTS, fitting_size, total
from flags.gate.evidence import Period


def buckets(periods: Sequence[Period], at_most: int = POINTS) -> tuple[timedelta, list[Period]]:
    """Return the size of a bucket, and the buckets that have pairs, in order of time."""
    if not periods:
        return timedelta(minutes=1), []
    size = fitting_size(periods[0].start, periods[-1].start, at_most)
    found: dict[int, list[Period]] = {}
    for each in periods:
        found.setdefault((each.start - EPOCH) // size, []).append(each)
    return size, [
        Period(EPOCH + number * size, total(each.alarms for each in within))
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


def _by(periods: Iterable[Period], key: Callable[[datetime], int]) -> list[tuple[int, Period]]:
    found: dict[int, list[Period]] = {}
    for each in periods:
        found.setdefault(key(each.start), []).append(each)
    return [
        (number, Period(within[0].start, total(each.alarms for each in within)))
        for number, within in sorted(found.items())
    ]
