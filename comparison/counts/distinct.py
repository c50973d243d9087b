"""The pairs of a window without repetitions, and the flag to judge."""

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
    """The pairs of a window, each once, and the number of repeated ones by flag."""

    table: ir.Table
    repeats: ir.Table | None
    """Repeated pairs `n` by flag; None if there are none."""
    is_whole: bool
    """Whether `table` is the source's own: it has no repeated pairs."""

    @classmethod
    def of(
        cls, source: PairSource, since: datetime | None, until: datetime | None
    ) -> "DistinctPairs":
        """Remove pairs that occur several times, unless the source has done so."""
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
        if self.repeats is None:
            return 0
        return int(self.repeats.filter(_.flag == flag).n.sum().to_pyarrow().as_py() or 0)


def _once(table: ir.Table) -> ir.Table:
    """Keep one row of each span id; copies are equal, so any will do."""
    truths = [name for name, kind in table.schema().items() if kind.is_boolean()]
    countable = table.mutate(**{name: _[name].cast("int8") for name in truths})
    others = [name for name in table.columns if name != "span_id"]
    taken = countable.group_by("span_id").agg(**{name: _[name].min() for name in others})
    return taken.mutate(**{name: _[name].cast("boolean") for name in truths})


def choose_flag(source: PairSource, flag: str | None) -> str | None:
    """Return `flag`, or the only flag of the source; None if the source has no flag.

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
