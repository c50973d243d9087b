"""Buckets of time for charts: of a round size, and no more than a reader can distinguish."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from flags.gate.blocks import EPOCH, POINTS, fitting_size, total
from flags.gate.evidence import Period


def buckets(periods: Sequence[Period], at_most: int = POINTS) -> tuple[timedelta, list[Period]]:
    """Return the size of a bucket, and the buckets that have pairs, in order of time."""
    if not periods:
        return timedelta(minutes=1), []
    size = fitting_size(periods[0].start, periods[-1].start, at_most)
    by_number: dict[int, list[Period]] = {}
    for each in periods:
        by_number.setdefault((each.start - EPOCH) // size, []).append(each)
    return size, [
        Period(EPOCH + number * size, total(each.alarms for each in bucket))
        for number, bucket in sorted(by_number.items())
    ]


def by_hour_of_day(periods: Iterable[Period]) -> list[tuple[int, Period]]:
    """Return (hour, sum of its periods over all days) for the hours in UTC that have pairs."""
    return _by(periods, lambda time: time.astimezone(UTC).hour)


def by_week_day(periods: Iterable[Period]) -> list[tuple[int, Period]]:
    """Return (day, sum of its periods over all weeks), Monday is 0, in UTC."""
    return _by(periods, lambda time: time.astimezone(UTC).weekday())


def size_text(size: timedelta) -> str:
    """Write the size of a bucket: `30 minutes`, `1 day`."""
    for unit, length in (("week", 10_080), ("day", 1_440), ("hour", 60), ("minute", 1)):
        count, rest = divmod(size, timedelta(minutes=length))
        if count and not rest:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{size}"


def _by(periods: Iterable[Period], key: Callable[[datetime], int]) -> list[tuple[int, Period]]:
    by_key: dict[int, list[Period]] = {}
    for each in periods:
        by_key.setdefault(key(each.start), []).append(each)
    return [
        (number, Period(group[0].start, total(each.alarms for each in group)))
        for number, group in sorted(by_key.items())
    ]
