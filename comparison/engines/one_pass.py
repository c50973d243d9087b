"""Count pairs in one pass, where no counts are kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH, counted_batches, group, numbers
from comparison.engines.embedded import register_unnamed
from comparison.engines.mergeable import MergeableCounts, PreparedRows

_MAX_PENDING: Final = 8
"""Batches whose counts are collected before they are added up: the counts of all batches together
would take as much memory as the pairs."""


def counted_once(
    counts: MergeableCounts, pairs: ir.Table, prepared: PreparedRows | None = None
) -> ir.Table:
    """Return the counts of pairs, or of the rows that `prepared` makes of them.

    The result is a statement, unless numpy counts the rows: if DuckDB in this process reads the
    pairs, and `counts` says how.
    """
    rows = pairs if prepared is None else prepared.rows(pairs)
    if counts.arrays is None or (connection := _connection_of(rows)) is None:
        return counts.statement(rows)
    batches = connection.to_pyarrow_batches(counts.arrays.statement(rows), chunk_size=BATCH)
    return register_unnamed(connection, counted_in_arrays(counts, batches))


def _connection_of(table: ir.Table) -> Backend | None:
    """Return the DuckDB connection of a table; None if the table is of another engine."""
    backend = table.get_backend()
    return backend if isinstance(backend, Backend) else None


def counted_in_arrays(counts: MergeableCounts, batches: pa.RecordBatchReader) -> pa.Table:
    """Count batches of rows with numpy."""
    assert counts.arrays is not None  # noqa: S101 - for the type checker
    parts: list[pa.Table] = []
    for part in counted_batches(batches, counts.arrays.compute, counts.by, counts.measures):
        parts.append(part)
        if len(parts) > _MAX_PENDING:
            parts = [_merged(counts, parts)]
    return _merged(counts, parts)


def _merged(counts: MergeableCounts, parts: Sequence[pa.Table]) -> pa.Table:
    """Merge the counts of several batches."""
    if len(parts) == 1:
        return parts[0]
    every = pa.concat_tables(parts)
    columns = {name: numbers(every[name].combine_chunks()) for name in every.schema.names}
    return group(columns, counts.by, counts.measures).cast(every.schema)


class CountedInOnePass(ABC):
    """A source that keeps no counts: each look counts its pairs in one pass."""

    keeps_counts: Final = False
    """Not every connection may write."""
    place_tables: Final = None
    """No tables are kept."""

    def prefetch(self, since: datetime | None, until: datetime | None) -> None:  # noqa: B027
        """Do nothing: each statement reads the pairs."""

    @abstractmethod
    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs accepted from `since` until before `until`."""

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
        prepared: PreparedRows | None = None,
    ) -> ir.Table:
        """Return the counts of the pairs of a window."""
        return counted_once(counts, self.table(since, until), prepared)
