"""Sources of pairs: each presents its pairs to an engine as a table of the same columns.

The columns are those of `comparison.pairs.reader`, except that `time` is a whole number of
nanoseconds since 1970 (engines differ in how they round times) and that the columns of every output
carry its name: `primary_score.fraud_probability`. Columns that were never recorded may be absent.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, Self

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from comparison.engines.connections import engine_errors
from comparison.engines.embedded import connect, create_view, materialize, register_table
from comparison.engines.engine_urls import SPARK, PlaceError, is_url, parse_engine_url, shown_url
from comparison.engines.kept.memory import KeptMemory
from comparison.engines.kept.tables import PlaceTables
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import CountedInOnePass
from comparison.engines.parquet import ParquetPairs
from comparison.engines.places import sibling_table, table_at
from comparison.engines.tables import (
    CollectorTraces,
    PairsWithSpans,
    TablePairs,
    in_window,
    unfit_columns,
)
from comparison.errors import PlaceUnreadableError
from comparison.pairs.accounting import Accounting
from comparison.pairs.arrow import to_arrow
from comparison.pairs.columns import output_columns, outputs_with, short_name
from comparison.pairs.opening import is_compacted
from comparison.pairs.reader import AllPairs, Pairs, read_all
from comparison.pairs.stores.folders import folder_at, is_store
from comparison.pairs.tracked import TrackedOutcomes
from flags.export import attributes

PAIR_COLUMNS: Final = ("flag", "time", "primary_status", "candidate_status")
"""Columns that a table of pairs must have."""

COLLECTOR_COLUMNS: Final = (
    *("Timestamp", "TraceId", "SpanId", "SpanName"),
    *("ServiceName", "ScopeName", "SpanAttributes"),
)
"""Columns that are read of the table of the collector's ClickHouse exporter."""

RECORDS_SUFFIX: Final = "_records"
"""Suffix of the table with the records of workers, after the name of the table of pairs."""


class PairSource(Protocol):
    """A place with pairs that an engine reads."""

    @property
    def name(self) -> str:
        """Return the name of the place, as the user gave it."""

    @property
    def accounting(self) -> Accounting | None:
        """Return how many pairs were read, repeated and lost; None without pair files."""

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of all flags accepted from `since` until before `until`."""

    def prefetch(self, since: datetime | None, until: datetime | None) -> None:
        """Prepare for many statements about the pairs of this window."""

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
        prepared: PreparedRows | None = None,
    ) -> ir.Table:
        """Return the counts of the pairs of `table`; a place that keeps counts reuses them.

        Only a place that keeps counts accepts rows that are `prepared` from pairs.
        """

    @property
    def keeps_counts(self) -> bool:
        """Return whether the place keeps counts for later looks."""

    @property
    def place_tables(self) -> PlaceTables | None:
        """Return the kept tables that are counted from all pairs; None if nothing is kept."""

    def repeated(self) -> ir.Table | None:
        """Return `flag` and `time` of the pairs left out because they occurred before.

        None if the source has not removed repeated pairs, so `table` may contain some.
        """

    def tracked(self) -> TrackedOutcomes:
        """Return the tracked outcomes; empty if the place has none."""

    def as_view(self, table: ir.Table) -> ir.Table:
        """Return a table as a view, if the engine has views, for several statements about it."""

    def cached(self, table: ir.Table) -> ir.Table:
        """Return a table that several statements ask about, computed once if the engine can."""


def open_source(place: str | Path, memory: KeptMemory | None = None) -> PairSource:
    """Open a folder of pair files, one such file, a folder that `compact` wrote, or a table's URL.

    A folder may be in an object store. A process that looks again passes a `memory`, which holds
    the kept counts between looks. Raises PairsUnreadableError, PlaceUnreadableError,
    StoreUnreadableError or CompactionUnreadableError.
    """
    if is_url(place) and not is_store(place):
        return _table_source(str(place))
    folder = folder_at(place)
    if is_compacted(folder):
        return ParquetPairs(folder, memory=memory)
    return FramePairs(read_all(folder))


def _table_source(url: str) -> PairSource:
    """Open a table: with the column `SpanAttributes` as a collector's, else as one of pairs."""
    try:
        if parse_engine_url(url).scheme == SPARK:
            from comparison.engines.spark import SparkPairs, folder_of

            if folder := folder_of(url):
                return SparkPairs.at(url, folder)
        table = table_at(url, example="otel_traces")
        with engine_errors(url):
            source = _checked_source(table, shown_url(url))
            if isinstance(source, CollectorTraces):
                return source
            spans = sibling_table(table, RECORDS_SUFFIX)
            return source if spans is None else PairsWithSpans(table, spans, shown_url(url))
    except PlaceError as error:
        raise PlaceUnreadableError(shown_url(url), str(error)) from error


def _checked_source(table: ir.Table, name: str) -> PairSource:
    collected = "SpanAttributes" in table.columns
    required = COLLECTOR_COLUMNS if collected else PAIR_COLUMNS
    lacking = [column for column in required if column not in table.columns]
    if lacking:
        there = ", ".join(table.columns[:8])
        wanted = (
            "expected the table of a collector's ClickHouse exporter, or a table with the columns "
            "of compacted pairs"
        )
        raise PlaceError(f"its table has no column {', '.join(lacking)}, but {there}; {wanted}")
    time = table.schema()["Timestamp" if collected else "time"]
    if not (time.is_timestamp() or time.is_integer()):
        raise PlaceError(f"its times are {time}, not timestamps or nanoseconds since 1970")
    if not collected and (wrong := unfit_columns(table)):
        raise PlaceError(", ".join(wrong))
    return CollectorTraces(table, name) if collected else TablePairs(table, name)


class FramePairs(CountedInOnePass):
    """Pairs that were read into memory, counted by DuckDB in this process."""

    def __init__(self, pairs: AllPairs) -> None:
        self.name = str(pairs.source)
        self.accounting = pairs.accounting
        self._tracked = pairs.tracked
        self._connection = connect()
        self._table = register_table(self._connection, "pairs", _arrow(pairs.frame))
        self._repeated = register_table(self._connection, "repeated", _arrow(pairs.repeated))

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """Return a source of the pairs of one flag."""
        frame = pairs.frame
        first = output_columns(pairs.outputs[0] if pairs.outputs else "")
        short = [short_name(column) for column in first]
        if pairs.outputs:
            full = dict(zip(short, (column.name for column in first), strict=True))
            frame = frame.rename(columns=full)
        else:
            frame = frame.drop(columns=short)
        return cls(
            AllPairs(
                pairs.source,
                pairs.outputs,
                frame,
                pairs.accounting,
                pairs.repeated,
                pairs.tracked,
            )
        )

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of a window."""
        return in_window(self._table, since, until)

    def repeated(self) -> ir.Table:
        """Return the repeated pairs, which the reader left out."""
        return self._repeated

    def tracked(self) -> TrackedOutcomes:
        """Return the outcomes that were read."""
        return self._tracked

    def as_view(self, table: ir.Table) -> ir.Table:
        """Create a view."""
        return create_view(self._connection, table)

    def cached(self, table: ir.Table) -> ir.Table:
        """Compute a temporary table."""
        return materialize(self._connection, table)


def scored_outputs(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the outputs with a column of scores, in the order of the columns."""
    return outputs_with(columns, attributes.SCORE)


def _arrow(frame: pd.DataFrame) -> pa.Table:
    table = to_arrow(frame)
    place = table.column_names.index("time")
    return table.set_column(place, "time", table.column(place).cast(pa.int64()))
