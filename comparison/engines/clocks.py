"""Set aside the pairs whose time is impossible, because a machine's clock was wrong.

A worker numbers its pairs in the order in which they end. If the numbers of an hour are larger than
those of a later hour, one of both hours is misdated: the one with fewer pairs is set aside. The
numbers of adjacent hours may overlap, since a slow pair is numbered late.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.engines.grouping import HOUR, framed
from comparison.engines.kept.tables import PlaceTables
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_once
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.engines.worker_numbers import HOURS
from comparison.pairs.accounting import Accounting
from comparison.pairs.tracked import TrackedOutcomes

_EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
_FIRST: Final = nanoseconds(_EARLIEST)
"""No pair is older than its file format. A machine that does not know the time begins at 1970."""

_MAX_AHEAD: Final = timedelta(hours=1)
"""How far the clock of a worker may be ahead of the clock of the look."""

_NOT_ADJACENT: Final = 2
"""Difference of two hours that are not adjacent."""

_DTYPES: Final = {
    "worker": "string",
    "hour": "int64",
    "first": "Int64",
    "last": "Int64",
    "latest": "int64",
    "n": "int64",
}


@dataclass(frozen=True, slots=True)
class _Hour:
    worker: str
    hour: int
    first: int
    last: int
    n: int


@dataclass(frozen=True, slots=True)
class DatedPairs:
    """The pairs of another source, without those whose time is impossible."""

    source: PairSource
    until: datetime
    """Pairs after this time are dated in the future, and set aside."""
    misdated: tuple[tuple[str, int], ...]
    """(worker, hour) of the hours that are set aside."""
    impossible_times: int
    """Number of pairs that are set aside."""
    impossible_times_of: Mapping[str, int]
    """Number of pairs that are set aside, by flag."""
    first: datetime
    """No pair with a possible time is earlier."""
    last: datetime
    """No pair is later, except those after `ahead`."""
    ahead: datetime | None
    """If some pairs are dated after the look: the time from which they may count, else None."""

    @classmethod
    def of(cls, source: PairSource, now: datetime) -> "DatedPairs":
        """Find the misdated hours of each worker."""
        until = now + _MAX_AHEAD
        end = nanoseconds(until)
        by_flag = framed(source.counted(HOURS), {**_DTYPES, "flag": "string"})
        hours = by_flag.groupby(["worker", "hour"], as_index=False, dropna=False).agg(
            {"first": "min", "last": "max", "latest": "max", "n": "sum"}
        )
        possible = _is_possible(hours, end)
        known = hours.loc[possible].dropna().sort_values(["worker", "hour"])
        misdated: list[_Hour] = []
        for worker, rows in known.groupby("worker", sort=False):
            columns = (rows[name].tolist() for name in ("hour", "first", "last", "n"))
            misdated += _misdated(
                [_Hour(str(worker), *each) for each in zip(*columns, strict=True)]
            )
        hours_of = pd.MultiIndex.from_frame(by_flag[["worker", "hour"]])
        aside = ~_is_possible(by_flag, end)
        aside |= hours_of.isin([(each.worker, each.hour) for each in misdated])
        of_flag = by_flag.loc[aside].groupby("flag")["n"].sum()
        return cls(
            source,
            until,
            tuple((each.worker, each.hour) for each in misdated),
            int(by_flag.loc[aside, "n"].sum()),
            {str(flag): int(n) for flag, n in of_flag.items()},
            *_time_range(hours, possible, now),
        )

    @property
    def end(self) -> int:
        """Return `until` in nanoseconds since 1970."""
        return nanoseconds(self.until)

    @property
    def name(self) -> str:
        """Return the name of the other source."""
        return self.source.name

    @property
    def accounting(self) -> Accounting | None:
        """Return the accounting of the other source."""
        return self.source.accounting

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs whose time is possible."""
        return self._without_misdated(self._dated(self.source.table(since, until)))

    def prefetch(self, since: datetime | None, until: datetime | None) -> None:
        """Prefetch from the other source."""
        self.source.prefetch(since, until)

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
        prepared: PreparedRows | None = None,
    ) -> ir.Table:
        """Return the counts of these pairs, which the other source may keep.

        Misdated hours stay misdated, so that counts without them can be kept too.
        """
        if until is None or nanoseconds(until) > self.end:
            until = self.until
        if not self.impossible_times:
            return self.source.counted(counts, since, until, prepared)
        if not self.keeps_counts:
            return counted_once(counts, self.table(since, until), prepared)
        since = _EARLIEST if since is None else max(since, _EARLIEST)
        if self.misdated and prepared is not None:
            prepared = prepared.restricted(self._without_misdated, self.misdated)
        elif self.misdated:
            counts = counts.restricted(self._without_misdated, self.misdated)
        return self.source.counted(counts, since, until, prepared)

    @property
    def keeps_counts(self) -> bool:
        """Return whether the other source keeps counts."""
        return self.source.keeps_counts

    @property
    def place_tables(self) -> PlaceTables | None:
        """Return the tables of the other source; None if a pair is set aside."""
        return None if self.impossible_times else self.source.place_tables

    def repeated(self) -> ir.Table | None:
        """Return the repeated pairs of the other source."""
        found = self.source.repeated()
        return None if found is None else self._dated(found)

    def tracked(self) -> TrackedOutcomes:
        """Return the outcomes of the other source: their times are of another machine."""
        return self.source.tracked()

    def as_view(self, table: ir.Table) -> ir.Table:
        """Create a view in the other source."""
        return self.source.as_view(table)

    def cached(self, table: ir.Table) -> ir.Table:
        """Cache a table in the other source."""
        return self.source.cached(table)

    def _without_misdated(self, table: ir.Table) -> ir.Table:
        """Drop the pairs of misdated hours."""
        for worker, hour in self.misdated:
            here = (_.worker == worker) & (_.time >= hour * HOUR) & (_.time < (hour + 1) * HOUR)
            table = table.filter(~here.fill_null(False))
        return table

    def _dated(self, table: ir.Table) -> ir.Table:
        return table.filter(_.time >= _FIRST, _.time < self.end)


def _is_possible(hours: pd.DataFrame, end: int) -> "pd.Series[bool]":
    return (hours["hour"] >= _FIRST // HOUR) & (hours["hour"] <= end // HOUR)


def _time_range(
    hours: pd.DataFrame, possible: "pd.Series[bool]", now: datetime
) -> tuple[datetime, datetime, datetime | None]:
    """Return `first`, `last` and `ahead` of the pairs."""
    here = nanoseconds(now)
    first = _begin(hours.loc[possible, "hour"].min()) if possible.any() else now
    later = hours.loc[hours["latest"] >= here, "hour"]
    if not later.empty:
        return first, now, max(now, _begin(later.min()) - _MAX_AHEAD)
    last = pd.Timestamp(hours["latest"].max() if len(hours) else 0, tz="UTC").ceil("us")
    return first, last.to_pydatetime(), None


def _begin(hour: int) -> datetime:
    return datetime.fromtimestamp(int(hour) * HOUR // 10**9, UTC)


def _misdated(hours: list[_Hour]) -> Iterator[_Hour]:
    """Yield the misdated hours of one worker: without them, numbers ascend with the hours.

    `hours` are in order of time.
    """
    kept: list[_Hour] = []
    for each in hours:
        dropped = False
        while (other := _contradicting(kept, each)) is not None:
            if other.n >= each.n:
                yield each
                dropped = True
                break
            kept.remove(other)
            yield other
        if not dropped:
            kept.append(each)


def _contradicting(earlier: list[_Hour], hour: _Hour) -> _Hour | None:
    """Return an earlier hour with a number above the first of `hour`; None if there is none."""
    for each in reversed(earlier):
        if hour.hour - each.hour >= _NOT_ADJACENT and each.last > hour.first:
            return each
        if each.last < hour.first and hour.hour - each.hour >= _NOT_ADJACENT:
            return None  # all hours before it have smaller numbers
    return None
