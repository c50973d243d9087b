"""The sources of pairs; each shows them to its engine as the same table.

The columns are those of `comparison.pairs.reader`, except that `time` is a whole number of
nanoseconds since 1970 (engines differ in how they round times) and that the columns of every output
carry its name: `primary_score.fraud_probability`. Columns that nobody ever recorded may be absent.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, Self

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from comparison.engines.connections import engine_errors
from comparison.engines.embedded import connect, held, named, shown
from comparison.engines.engine_urls import SPARK, PlaceError, checked, is_url, shown_url
from comparison.engines.kept.memory import KeptMemory
from comparison.engines.kept.tables import WholeTables
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import CountedInOnePass
from comparison.engines.parquet import ParquetPairs
from comparison.engines.places import beside, table_at
from comparison.engines.tables import (
    CollectorTraces,
    KeptPairs,
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

REQUIRED: Final = ("flag", "time", "primary_status", "candidate_status")
"""Columns without which a table is none of pairs."""

COLLECTED: Final = (
    *("Timestamp", "TraceId", "SpanId", "SpanName"),
    *("ServiceName", "ScopeName", "SpanAttributes"),
)
"""Columns of the collector's table that are read."""

RECORDS: Final = "_records"
"""How the table beside one of pairs is called that has what workers recorded, after its name."""


class PairSource(Protocol):
    """Show pairs to an engine."""

    @property
    def name(self) -> str:
        """Return what the user calls the place."""

    @property
    def accounting(self) -> Accounting | None:
        """Return what became of every line of the pair files; None if there are none."""

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of all flags accepted from `since` until before `until`."""

    def hold(self, since: datetime | None, until: datetime | None) -> None:
        """Be told which pairs many questions will be about, before the first of them."""

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
        prepared: PreparedRows | None = None,
    ) -> ir.Table:
        """Return the counts of the pairs of `table`, kept ones where the place keeps some.

        Only a place that keeps counts takes rows that are `prepared` from pairs.
        """

    @property
    def keeps(self) -> bool:
        """Say whether the place keeps counts."""

    @property
    def whole(self) -> WholeTables | None:
        """Return where it keeps what was found of all its pairs."""

    def repeated(self) -> ir.Table | None:
        """Return `flag` and `time` of the pairs left out because they occurred before.

        None if nobody has looked for repetitions, so that `table` may hold some.
        """

    def tracked(self) -> TrackedOutcomes:
        """Return the outcomes that were tracked, none if the place keeps none."""

    def named(self, table: ir.Table) -> ir.Table:
        """Return a table that will be asked several questions, as a view if the engine has some."""

    def kept(self, table: ir.Table) -> ir.Table:
        """Return a table that will be asked several questions, computed once if that pays."""


def open_source(place: str | Path, memory: KeptMemory | None = None) -> PairSource:
    """Open a folder of pair files, one such file, a folder that `compact` wrote, or a table's URL.

    A folder may be in an object store. Who will look again has a `memory` for its counts. Raises
    PairsUnreadableError, PlaceUnreadableError,
    StoreUnreadableError or CompactionUnreadableError.
    """
    if is_url(place) and not is_store(place):
        return _table_source(str(place))
    folder = folder_at(place)
    if is_compacted(folder):
        return ParquetPairs(folder, memory=memory)
    return FramePairs(read_all(folder))


def _table_source(url: str) -> PairSource:
    """Take a table for that of a collector if its spans have attributes, else for pairs."""
    try:
        if checked(url).scheme == SPARK:
            from comparison.engines.spark import SparkPairs, folder_of

            if folder := folder_of(url):
                return SparkPairs.at(url, folder)
        table = table_at(url, example="otel_traces")
        with engine_errors(url):
            source = _of_pairs(table, shown_url(url))
            if isinstance(source, CollectorTraces):
                return source
            spans = beside(table, RECORDS)
            return source if spans is None else KeptPairs(table, spans, shown_url(url))
    except PlaceError as error:
        raise PlaceUnreadableError(shown_url(url), str(error)) from error


def _of_pairs(table: ir.Table, name: str) -> PairSource:
    collected = "SpanAttributes" in table.columns
    required = COLLECTED if collected else REQUIRED
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
    """Hand pairs that were read into memory to the engine in this process, DuckDB."""

    def __init__(self, pairs: AllPairs) -> None:
        self.name = str(pairs.source)
        self.accounting = pairs.accounting
        self._tracked = pairs.tracked
        self._connection = connect()
        self._table = shown(self._connection, "pairs", _arrow(pairs.frame))
        self._repeated = shown(self._connection, "repeated", _arrow(pairs.repeated))

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """Take the pairs of one flag."""
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
        """Return the pairs that were read."""
        return in_window(self._table, since, until)

    def repeated(self) -> ir.Table:
        """Return what the reader left out."""
        return self._repeated

    def tracked(self) -> TrackedOutcomes:
        """Return the outcomes that were read."""
        return self._tracked

    def named(self, table: ir.Table) -> ir.Table:
        """Return a view."""
        return named(self._connection, table)

    def kept(self, table: ir.Table) -> ir.Table:
        """Return a temporary table that holds it."""
        return held(self._connection, table)


def scored_outputs(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the outputs that a table has scores of, in the order of its columns."""
    return outputs_with(columns, attributes.SCORE)


def _arrow(frame: pd.DataFrame) -> pa.Table:
    table = to_arrow(frame)
    place = table.column_names.index("time")
    return table.set_column(place, "time", table.column(place).cast(pa.int64()))
