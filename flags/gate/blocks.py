"""Alarms in blocks of time: whole days and weeks, the latest hours, and the same hours before.

Hours are numbered from the beginning of the evidence: hour 24 is the first of the second day. So a
day has each hour of the day once, whatever the time zone, and a week has each weekday once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from flags.gate.evidence import Paired, Period

HOUR: Final = timedelta(hours=1)
DAY: Final = 24
WEEK: Final = 7 * DAY
"""In hours."""

POINTS: Final = 30
"""Largest number of blocks in a chart."""

EPOCH: Final = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday, from which the blocks of a chart are numbered, so that weeks begin on Mondays."""

_SIZES: Final = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080, 20160)
)


@dataclass(frozen=True, slots=True)
class Block:
    """The alarms of one hour, `hour` hours after the evidence began."""

    hour: int
    alarms: Paired


@dataclass(frozen=True, slots=True)
class Blocks:
    """The hours of a window that have pairs, in order of time.

    `begun` is the start of hour 0; `hours` is how many full hours have passed since.
    """

    begun: datetime
    hours: int
    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls, periods: Sequence[Period], until: datetime, begun: datetime | None = None
    ) -> "Blocks":
        """Number the hours of the periods from `begun` on; None: the first period is in hour 0."""
        if begun is None and not periods:
            return cls(until, 0, ())
        begun = begun or periods[0].start.replace(minute=0, second=0, microsecond=0)
        within: dict[int, list[Paired]] = {}
        for each in periods:
            within.setdefault((each.start - begun) // HOUR, []).append(each.alarms)
        blocks = tuple(Block(hour, total(tables)) for hour, tables in within.items())
        return cls(begun, max(0, (until - begun) // HOUR), blocks)

    def whole(self, size: int) -> tuple[int, Paired]:
        """Return how many whole spans of `size` hours have passed, and their alarms.

        A ratio that is high every evening is averaged with the rest of its day. At the end of each
        whole span the wealth of `flags.gate.sequences.betting` is a supermartingale however the
        ratio varies within the span, since prod (1 + u x_i) <= exp(u sum x_i): only the ratio of
        the whole span counts.
        """
        spans = self.hours // size
        return spans, total(each.alarms for each in self.blocks if each.hour < spans * size)

    def latest(self, size: int) -> Paired:
        """Return the alarms of the latest `size` hours, the present one included."""
        return total(each.alarms for each in self.blocks if each.hour > self.hours - size)

    def same_hours_before(self, size: int) -> Paired:
        """Return the alarms of the same hours of the week in the weeks before `latest(size)`."""
        return total(
            each.alarms
            for each in self.blocks
            if each.hour <= self.hours - size and (self.hours - each.hour) % WEEK < size
        )

    def time(self, hour: int) -> datetime:
        """Return the time at which an hour began."""
        return self.begun + hour * HOUR


def total(tables: Iterable[Paired]) -> Paired:
    """Return the sum of the tables."""
    both = primary = candidate = neither = 0
    for each in tables:
        both += each.both
        primary += each.primary_only
        candidate += each.candidate_only
        neither += each.neither
    return Paired(both, primary, candidate, neither)


def by_day(blocks: Sequence[Block]) -> Iterator[tuple[int, list[Block]]]:
    """Yield (number of the day, its blocks) for each day that has blocks."""
    day: list[Block] = []
    for each in blocks:
        if day and each.hour // DAY != day[0].hour // DAY:
            yield day[0].hour // DAY, day
            day = []
        day.append(each)
    if day:
        yield day[0].hour // DAY, day


def fitting_size(first: datetime, last: datetime, at_most: int = POINTS) -> timedelta:
    """Return the smallest round block size with which `first` to `last` are `at_most` blocks."""
    for size in _SIZES:
        if (last - EPOCH) // size - (first - EPOCH) // size < at_most:
            return size
    weeks = _SIZES[-1]
    while (last - EPOCH) // weeks - (first - EPOCH) // weeks >= at_most:
        weeks *= 2
    return weeks
