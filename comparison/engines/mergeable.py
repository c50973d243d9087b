"""Mergeable counts: the counts of two parts of the pairs add up to the counts of both."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from comparison.engines.arrays import ArrayRows
from comparison.engines.grouping import booleans_as_integers, fetched_table


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """A statement that prepares pairs for many counts; `key` identifies it in kept counts."""

    key: str
    rows: Callable[[ir.Table], ir.Table]

    def restricted(self, subset: Callable[[ir.Table], ir.Table], *parameters: object) -> Self:
        """Prepare only the `subset` of the pairs, which the `parameters` identify."""
        key = hashlib.sha256(repr((self.key, *parameters)).encode()).hexdigest()[:16]
        return replace(self, key=key, rows=lambda pairs: self.rows(subset(pairs)))


COUNT: Final[Mapping[str, str]] = {"n": "sum"}


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums over groups of counts, such as units; each group contributes by itself.

    A group is the counts with equal values in the columns of `group`; missing values are equal.
    `rows` turns the counts of groups into the columns `by` and `measures`; the measures, whole
    numbers, are summed by `by`. So if the counts of a few groups change, only their contributions
    are exchanged. `name` and `parameters` identify the sums, as they do in `MergeableCounts`.
    """

    name: str
    group: Sequence[str]
    rows: Callable[[ir.Table], ir.Table]
    by: Sequence[str]
    measures: Sequence[str] = ("n",)
    parameters: tuple[object, ...] = ()

    @property
    def key(self) -> str:
        """Return the key that identifies these sums among those of the same counts."""
        return _key(self.name, (tuple(self.group), tuple(self.by), self.parameters))

    def statement(self, counts: ir.Table) -> ir.Table:
        """Return the statement that computes the sums."""
        rows, by = self.rows(counts), list(self.by)
        taken = {name: _[name].sum().fill_null(0).cast("int64") for name in self.measures}
        return booleans_as_integers(rows.group_by(by).agg(**taken) if by else rows.agg(**taken))


def group_sums(
    counted: Callable[[GroupSums | None], ir.Table],
    sums: Sequence[GroupSums],
    cache: Callable[[ir.Table], ir.Table] | None,
) -> list[ir.Table]:
    """Return sums over groups of the same counts.

    `counted` returns one of these sums, or with None the counts themselves. Without `cache` each
    sum is asked for by itself: it may be kept. With `cache`, the counts are computed once by the
    engine and all sums follow from them.
    """
    if cache is None:
        return [counted(each) for each in sums]
    counts = cache(counted(None))
    return [each.statement(counts) for each in sums]


@dataclass(frozen=True, slots=True)
class MergeableCounts:
    """A definition of counts: one row for each occurring combination of the columns `by`.

    `rows` reduces a table of pairs to the columns `by` and the columns that are measured. `name`
    and `parameters` identify the counts where they are kept, so they must include everything that
    `rows` depends on. `measures` names for each measured column how it is aggregated and merged:
    `sum`, `least`, `largest`. A measure `n` without a column counts rows.
    """

    name: str
    rows: Callable[[ir.Table], ir.Table]
    by: Sequence[str]
    measures: Mapping[str, str] = field(default_factory=lambda: COUNT)
    parameters: tuple[object, ...] = ()
    is_kept: bool = True
    """Whether to keep the counts; those that depend on the time of the look are never reused."""

    condense: Callable[[pa.Table], pa.Table] | None = None
    """Reduces counted or merged rows further, where an engine cannot; applied twice, it changes
    nothing more. `by` and `measures` describe its result."""
    counted_by: Sequence[str] = ()
    """The columns that the engine groups by, if they differ from `by`."""
    arrays: ArrayRows[ir.Table] | None = None
    """How numpy counts rows of an engine in this process, where that is cheaper."""
    groups: GroupSums | None = None
    """Sums over groups, to be returned in place of the counts."""

    def where(self, **values: object) -> Self:
        """Return the counts of the pairs that have these values in their columns."""

        def here(pairs: ir.Table) -> ir.Table:
            return pairs.filter(*(pairs[name] == each for name, each in values.items()))

        return self.restricted(here, *values.items())

    def restricted(self, subset: Callable[[ir.Table], ir.Table], *parameters: object) -> Self:
        """Count only the `subset` of the pairs, which the `parameters` identify."""
        return replace(
            self,
            rows=lambda pairs: self.rows(subset(pairs)),
            parameters=(*self.parameters, *parameters),
            arrays=self.arrays and self.arrays.after(subset),
        )

    def fetched(self, counted: ir.Table) -> pa.Table:
        """Run a query of these counts, unless they are in memory already, and condense the rows."""
        return self.condensed(fetched_table(counted))

    def condensed(self, counted: pa.Table) -> pa.Table:
        """Apply `condense`, if there is one, to counted or merged rows."""
        return self.condense(counted) if self.condense else counted

    @property
    def key(self) -> str:
        """Return the key that identifies the counts where they are kept."""
        return _key(self.name, (tuple(self.by), dict(self.measures), self.parameters))

    def statement(self, pairs: ir.Table) -> ir.Table:
        """Return the statement that counts pairs."""
        rows = self.rows(pairs)
        taken = {name: _measure(rows, name, how) for name, how in self.measures.items()}
        by = list(self.counted_by or self.by)
        counts = booleans_as_integers(rows.group_by(by).agg(**taken) if by else rows.agg(**taken))
        return counts if self.groups is None else self.groups.statement(counts)


def _key(name: str, identity: tuple[object, ...]) -> str:
    return f"{name}-{hashlib.sha256(repr((name, *identity)).encode()).hexdigest()[:16]}"


def _measure(rows: ir.Table, name: str, how: str) -> Any:
    if name not in rows.columns:
        return _.count()
    return {"sum": _[name].sum, "least": _[name].min, "largest": _[name].max}[how]()
