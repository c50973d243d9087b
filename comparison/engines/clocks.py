"""Pairs of an impossible time are set aside: a clock was wrong when they were accepted.

A worker numbers its pairs in the order in which they end. So an hour whose numbers belong after
those of a later hour is misdated, or the later one is: the one with fewer pairs is set aside. Hours
that touch may overlap, since a pair that took long is numbered late.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.engines.grouping import HOUR, framed
from comparison.engines.kept.tables import WholeTables
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_once
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.engines.worker_numbers import HOURS
from comparison.pairs.accounting import Accounting
from comparison.pairs.tracked import TrackedOutcomes

_EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
_FIRST: Final = nanoseconds(_EARLIEST)
"""No pair is older than the format it is written in: a machine without its time begins at 1970."""

_AHEAD: Final = timedelta(hours=1)
"""How far a clock may be ahead of the one that looks."""

_APART: Final = 2
"""Hours that do not touch."""

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
    """A source of the pairs of another one, without those whose time is impossible."""

    source: PairSource
    until: datetime
    """Later pairs are of the future."""
    misdated: tuple[tuple[str, int], ...]
    """Workers and hours."""
    set_aside: int
    set_aside_of: Mapping[str, int]
    """Those of each flag."""
    first: datetime
    """No pair whose time can be is earlier."""
    last: datetime
    """None is later, but for those of `ahead`."""
    ahead: datetime | None
    """From when on pairs may count that are dated later than they were asked for; None: none is."""

    @classmethod
    def of(cls, source: PairSource, now: datetime) -> "DatedPairs":
        """Look through the hours of each worker."""
        until = now + _AHEAD
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
            *_ends(hours, possible, now),
        )

    @property
    def end(self) -> int:
        """Return the end of what is shown, in nanoseconds."""
        return nanoseconds(self.until)

    @property
    def name(self) -> str:
        """Return the name of the other source."""
        return self.source.name

    @property
    def accounting(self) -> Accounting | None:
        """Return that of the other source."""
        return self.source.accounting

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs whose time is possible."""
        return self._of_other_hours(self._dated(self.source.table(since, until)))

    def hold(self, since: datetime | None, until: datetime | None) -> None:
        """Leave that to the other source."""
        self.source.hold(since, until)

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
        prepared: PreparedRows | None = None,
    ) -> ir.Table:
        """Return the counts of these pairs, which the other source may keep.

        Misdated hours stay misdated, so that counts without them are kept as others are.
        """
        if until is None or nanoseconds(until) > self.end:
            until = self.until
        if not self.set_aside:
            return self.source.counted(counts, since, until, prepared)
        if not self.keeps:
            return counted_once(counts, self.table(since, until), prepared)
        since = _EARLIEST if since is None else max(since, _EARLIEST)
        if self.misdated and prepared is not None:
            prepared = prepared.among(self._of_other_hours, self.misdated)
        elif self.misdated:
            counts = counts.among(self._of_other_hours, self.misdated)
        return self.source.counted(counts, since, until, prepared)

    @property
    def keeps(self) -> bool:
        """Say whether the other source keeps counts."""
        return self.source.keeps

    @property
    def whole(self) -> WholeTables | None:
        """Return that of the other source, if no pair is set aside."""
        return None if self.set_aside else self.source.whole

    def repeated(self) -> ir.Table | None:
        """Return the repeated pairs of the other source."""
        found = self.source.repeated()
        return None if found is None else self._dated(found)

    def tracked(self) -> TrackedOutcomes:
        """Return those of the other source: they carry the time of another machine."""
        return self.source.tracked()

    def named(self, table: ir.Table) -> ir.Table:
        """Leave that to the other source."""
        return self.source.named(table)

    def kept(self, table: ir.Table) -> ir.Table:
        """Leave that to the other source."""
        return self.source.kept(table)

    def _of_other_hours(self, table: ir.Table) -> ir.Table:
        """Leave out the hours that are misdated."""
        for worker, hour in self.misdated:
            here = (_.worker == worker) & (_.time >= hour * HOUR) & (_.time < (hour + 1) * HOUR)
            table = table.filter(~here.fill_null(False))
        return table

    def _dated(self, table: ir.Table) -> ir.Table:
        return table.filter(_.time >= _FIRST, _.time < self.end)


def _is_possible(hours: pd.DataFrame, end: int) -> "pd.Series[bool]":
    return (hours["hour"] >= _FIRST // HOUR) & (hours["hour"] <= end // HOUR)


def _ends(
    hours: pd.DataFrame, possible: "pd.Series[bool]", now: datetime
) -> tuple[datetime, datetime, datetime | None]:
    """Return `first`, `last` and `ahead` of the pairs."""
    here = nanoseconds(now)
    first = _begin(hours.loc[possible, "hour"].min()) if possible.any() else now
    later = hours.loc[hours["latest"] >= here, "hour"]
    if not later.empty:
        return first, now, max(now, _begin(later.min()) - _AHEAD)
    last = pd.Timestamp(hours["latest"].max() if len(hours) else 0, tz="UTC").ceil("us")
    return first, last.to_pydatetime(), None


def _begin(hour: int) -> datetime:
    return datetime.fromtimestamp(int(hour) * HOUR // 10**9, UTC)


def _misdated(hours: list[_Hour]) -> Iterator[_Hour]:
    """Yield hours of one worker, in order of time, until the numbers ascend with the hours."""
    kept: list[_Hour] = []
    for each in hours:
        dropped = False
        while (against := _after(kept, each)) is not None:
            if against.n >= each.n:
                yield each
                dropped = True
                break
            kept.remove(against)
            yield against
        if not dropped:
            kept.append(each)


def _after(earlier: list[_Hour], hour: _Hour) -> _Hour | None:
    """Return an earlier hour whose numbers belong after this one's, None if there is none."""
    for each in reversed(earlier):
        if hour.hour - each.hour >= _APART and each.last > hour.first:
            return each
        if each.last < hour.first and hour.hour - each.hour >= _APART:
            return None  # the earlier ones ascend up to it
    return None
