"""Counts that can be merged: those of two parts of the pairs make those of both."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from comparison.engines.arrays import ArrayRows
from comparison.engines.grouping import fetched_table, in_numbers


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Say how pairs are prepared for many counts, in one statement; `key` tells it from others."""

    key: str
    rows: Callable[[ir.Table], ir.Table]

    def among(self, some: Callable[[ir.Table], ir.Table], *told: object) -> Self:
        """Prepare some of the pairs, of which `told` says all."""
        key = hashlib.sha256(repr((self.key, *told)).encode()).hexdigest()[:16]
        return replace(self, key=key, rows=lambda pairs: self.rows(some(pairs)))


COUNT: Final[Mapping[str, str]] = {"n": "sum"}


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Say what is added up over groups of counts, such as units; each group by itself adds to it.

    A group are the counts that have the same value in each column of `group`; missing ones are a
    group as well. `rows` makes of counts the columns `by` and `measures`, of which the sums of
    whole numbers are wanted. So where the counts of some groups change, the sums change by theirs.
    `name` and `parameters` tell it from others, as those of counts do.
    """

    name: str
    group: Sequence[str]
    rows: Callable[[ir.Table], ir.Table]
    by: Sequence[str]
    measures: Sequence[str] = ("n",)
    parameters: tuple[object, ...] = ()

    @property
    def key(self) -> str:
        """Return what tells it from others of the same counts."""
        return _key(self.name, (tuple(self.group), tuple(self.by), self.parameters))

    def of(self, counts: ir.Table) -> ir.Table:
        """Return the statement that adds up."""
        rows, by = self.rows(counts), list(self.by)
        taken = {name: _[name].sum().fill_null(0).cast("int64") for name in self.measures}
        return in_numbers(rows.group_by(by).agg(**taken) if by else rows.agg(**taken))


def sums_of(
    counted: Callable[[GroupSums | None], ir.Table],
    sums: Sequence[GroupSums],
    hold: Callable[[ir.Table], ir.Table] | None,
) -> list[ir.Table]:
    """Return sums over groups of the same counts.

    `counted` returns such a sum, which may be kept, or the counts themselves: where they are not
    kept, an engine is to `hold` them.
    """
    if hold is None:
        return [counted(each) for each in sums]
    counts = hold(counted(None))
    return [each.of(counts) for each in sums]


@dataclass(frozen=True, slots=True)
class MergeableCounts:
    """Say what is counted of pairs: one row per combination of the columns `by` that occurs.

    `rows` reduces a table of pairs to the columns `by` and those that measures are taken of; with
    `name` and `parameters` it is told from all others, so these must tell everything on which it
    depends. `measures` say of each further column how it is taken, and merged: `sum`, `least`,
    `largest`. A measure `n` without a column counts rows.
    """

    name: str
    rows: Callable[[ir.Table], ir.Table]
    by: Sequence[str]
    measures: Mapping[str, str] = field(default_factory=lambda: COUNT)
    parameters: tuple[object, ...] = ()
    is_kept: bool = True
    """Whether they are asked for again: not if they depend on when somebody looks."""

    condense: Callable[[pa.Table], pa.Table] | None = None
    """Makes fewer rows of those that were counted or merged, where an engine cannot; what it makes
    it leaves as it is. `by` and `measures` are those of its rows."""
    counted_by: Sequence[str] = ()
    """What the engine counts by, where that is something else."""
    arrays: ArrayRows[ir.Table] | None = None
    """How an engine in this process has them counted, where that is cheaper."""
    groups: GroupSums | None = None
    """What is asked for in the place of the counts."""

    def where(self, **values: object) -> Self:
        """Return the counts of the pairs that have these values in their columns."""

        def here(pairs: ir.Table) -> ir.Table:
            return pairs.filter(*(pairs[name] == each for name, each in values.items()))

        return self.among(here, *values.items())

    def among(self, some: Callable[[ir.Table], ir.Table], *told: object) -> Self:
        """Return the counts of some of the pairs, of which `told` says all."""
        return replace(
            self,
            rows=lambda pairs: self.rows(some(pairs)),
            parameters=(*self.parameters, *told),
            arrays=self.arrays and self.arrays.of(some),
        )

    def fetched(self, counted: ir.Table) -> pa.Table:
        """Run the statement of `of`, or take what has been merged, with few rows."""
        return self.condensed(fetched_table(counted))

    def condensed(self, counted: pa.Table) -> pa.Table:
        """Return what was counted or merged, with few rows."""
        return self.condense(counted) if self.condense else counted

    @property
    def key(self) -> str:
        """Return what tells it from others."""
        return _key(self.name, (tuple(self.by), dict(self.measures), self.parameters))

    def of(self, pairs: ir.Table) -> ir.Table:
        """Return the statement that counts pairs."""
        rows = self.rows(pairs)
        taken = {name: _measure(rows, name, how) for name, how in self.measures.items()}
        by = list(self.counted_by or self.by)
        counts = in_numbers(rows.group_by(by).agg(**taken) if by else rows.agg(**taken))
        return counts if self.groups is None else self.groups.of(counts)


def _key(name: str, told: tuple[object, ...]) -> str:
    return f"{name}-{hashlib.sha256(repr((name, *told)).encode()).hexdigest()[:16]}"


def _measure(rows: ir.Table, name: str, how: str) -> Any:
    if name not in rows.columns:
        return _.count()
    return {"sum": _[name].sum, "least": _[name].min, "largest": _[name].max}[how]()
