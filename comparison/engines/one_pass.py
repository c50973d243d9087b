"""Counts of pairs in one pass, where none are kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH, counted_batches
from comparison.engines.embedded import quoted, shown_anew
from comparison.engines.mergeable import MergeableCounts, PreparedRows

_CALLS: Final = {"sum": "sum", "least": "min", "largest": "max"}


def counted_once(
    counts: MergeableCounts, pairs: ir.Table, prepared: PreparedRows | None = None
) -> ir.Table:
    """Return the counts of pairs, or of what they are prepared to.

    They are a statement, unless DuckDB in this process has the pairs, and arrays are cheaper.
    """
    rows = pairs if prepared is None else prepared.rows(pairs)
    if counts.arrays is None or (connection := _connection_of(rows)) is None:
        return counts.of(rows)
    batches = connection.to_pyarrow_batches(counts.arrays.statement(rows), chunk_size=BATCH)
    return shown_anew(connection, counted_in_arrays(connection, counts, batches))


def _connection_of(table: ir.Table) -> Backend | None:
    """Return the DuckDB in this process that holds a table, None if another engine does."""
    backend = table.get_backend()
    return backend if isinstance(backend, Backend) else None


def counted_in_arrays(
    connection: Backend, counts: MergeableCounts, batches: pa.RecordBatchReader
) -> pa.Table:
    """Count the rows that a statement hands over."""
    assert counts.arrays is not None  # noqa: S101 - for the type checker
    tables = counted_batches(batches, counts.arrays.made, counts.by, counts.measures)
    return _merged(connection, counts, tables)


def _merged(connection: Backend, counts: MergeableCounts, tables: Sequence[pa.Table]) -> pa.Table:
    """Add up counts, by the engine: Arrow's own grouping is slow where numbers end in zeros."""
    if len(tables) == 1:
        return tables[0]
    schema = tables[0].schema
    names = [f"part_{place}" for place in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        connection.con.register(name, table)
    parts = " UNION ALL ".join(f"FROM {name}" for name in names)
    taken = (
        f"{_CALLS[how]}({quoted(name)}) AS {quoted(name)}" for name, how in counts.measures.items()
    )
    columns = ", ".join([*map(quoted, counts.by), *taken])
    text = f"SELECT {columns} FROM ({parts}) GROUP BY ALL"  # noqa: S608 - our own names
    found = connection.con.execute(text).to_arrow_table()
    for name in names:
        connection.con.unregister(name)
    return found.select(schema.names).cast(schema)


class CountedInOnePass(ABC):
    """A source that keeps no counts: each look counts its pairs in one pass."""

    keeps: Final = False
    """Not every connection may write."""
    whole: Final = None
    """Nothing is kept."""

    def hold(self, since: datetime | None, until: datetime | None) -> None:  # noqa: B027
        """Do nothing: the pairs are read for each question."""

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
        """Return their counts."""
        return counted_once(counts, self.table(since, until), prepared)
