"""Counts of pairs in one pass, where none are kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH, counted_batches
from comparison.engines.embedded import quoted, registered, shown_anew
from comparison.engines.mergeable import MergeableCounts, PreparedRows

_CALLS: Final = {"sum": "sum", "least": "min", "largest": "max"}

_PARTS: Final = 16
"""Batches whose counts wait to be added up: those of all would take memory as the pairs do."""


def counted_once(
    counts: MergeableCounts, pairs: ir.Table, prepared: PreparedRows | None = None
) -> ir.Table:
    """Return the counts of pairs, or of the rows that `prepared` makes of them.

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
    parts: list[pa.Table] = []
    for part in counted_batches(batches, counts.arrays.made, counts.by, counts.measures):
        parts.append(part)
        if len(parts) > _PARTS:
            parts = [_merged(connection, counts, parts)]
    return _merged(connection, counts, parts)


def _merged(connection: Backend, counts: MergeableCounts, parts: Sequence[pa.Table]) -> pa.Table:
    """Add up counts, by the engine: Arrow's own grouping is slow where numbers end in zeros."""
    if len(parts) == 1:
        return parts[0]
    tables = {f"part_{place}": part for place, part in enumerate(parts)}
    taken = (
        f"{_CALLS[how]}({quoted(name)}) AS {quoted(name)}" for name, how in counts.measures.items()
    )
    columns = ", ".join([*map(quoted, counts.by), *taken])
    rows = " UNION ALL ".join(f"FROM {name}" for name in tables)
    text = f"SELECT {columns} FROM ({rows}) GROUP BY ALL"  # noqa: S608 - our own names
    # By a cursor: what the connection still hands over goes on.
    with closing(connection.con.cursor()) as cursor, registered(connection, cursor, **tables):
        found = cursor.execute(text).to_arrow_table()
    return found.select(parts[0].schema.names).cast(parts[0].schema)


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
