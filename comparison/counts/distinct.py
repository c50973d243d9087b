"""The pairs of a window, each once, and the flag that is meant."""

from dataclasses import dataclass
from datetime import datetime

import ibis.expr.types as ir
from ibis import _

from comparison.engines.grouping import count_by, row_count
from comparison.engines.sources import PairSource
from comparison.engines.tables import in_window
from comparison.engines.worker_numbers import recorded_flags
from comparison.errors import FlagNotFoundError, SeveralFlagsError


@dataclass(frozen=True, slots=True)
class DistinctPairs:
    """Hold the pairs of a window, each once, and flag and time of the repeated ones."""

    table: ir.Table
    again: ir.Table | None
    is_whole: bool
    """Whether these are all pairs of the source: it had no repeated ones."""

    @classmethod
    def of(
        cls, source: PairSource, since: datetime | None, until: datetime | None
    ) -> "DistinctPairs":
        """Look for pairs that occur several times, unless the source has done so."""
        source.prefetch(since, until)
        table = source.table(since, until)
        known = source.repeated()
        if known is not None:
            again = count_by(in_window(known, since, until), flag=_.flag)
            return cls(table, again, is_whole=True)
        ids = count_by(table, flag=_.flag, span_id=_.span_id).filter(_.n > 1)
        if not row_count(ids):
            return cls(table, None, is_whole=True)
        again = ids.group_by("flag").agg(n=(_.n - 1).sum())
        return cls(_once(table), again, is_whole=False)

    def repeated(self, flag: str | None) -> int:
        """Count the repeated pairs of a flag."""
        if self.again is None:
            return 0
        return int(self.again.filter(_.flag == flag).n.sum().to_pyarrow().as_py() or 0)


def _once(table: ir.Table) -> ir.Table:
    """Take one row of each span id: copies are equal, so that any will do."""
    truths = [name for name, kind in table.schema().items() if kind.is_boolean()]
    countable = table.mutate(**{name: _[name].cast("int8") for name in truths})
    others = [name for name in table.columns if name != "span_id"]
    taken = countable.group_by("span_id").agg(**{name: _[name].min() for name in others})
    return taken.mutate(**{name: _[name].cast("boolean") for name in truths})


def choose_flag(source: PairSource, flag: str | None) -> str | None:
    """Return the flag that is meant, None if there is none.

    Raises SeveralFlagsError if there are several and `flag` is None, FlagNotFoundError if there are
    only others.
    """
    if source.keeps_counts:
        flags = tuple(recorded_flags(source))
    else:
        rows = source.table().select("flag").distinct().to_pyarrow()
        flags = tuple(sorted(rows["flag"].drop_null().to_pylist()))
    if flag is None and len(flags) > 1:
        raise SeveralFlagsError(source.name, flags)
    if flag is not None and flags and flag not in flags:
        raise FlagNotFoundError(source.name, flag, flags)
    return flag or next(iter(flags), None)
