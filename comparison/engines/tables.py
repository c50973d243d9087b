"""Pairs from a table of any engine that ibis connects to."""

import math
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.engines.clickhouse import require_join_nulls, temporary_table
from comparison.engines.one_pass import CountedInOnePass
from comparison.engines.worker_numbers import account_source
from comparison.pairs.accounting import Accounting
from comparison.pairs.column_types import CERTAINTY, COUNT, NUMBER, TIME, TRUTH, ColumnType
from comparison.pairs.columns import ATTRIBUTE_COLUMNS, SPAN_COLUMNS, Column, column_of
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.tracked import TrackedOutcomes
from flags.export import attributes

_TYPES: Final[tuple[tuple[ColumnType, str], ...]] = (
    (NUMBER, "float64"),
    (COUNT, "int64"),
    (TRUTH, "boolean"),
    (CERTAINTY, "boolean"),
    (TIME, "int64"),
)

_RECORD_KEYS: Final = (
    attributes.WORKER_ID,
    attributes.WORKER_EVENT,
    attributes.WORKER_PAIRS,
    attributes.WORKER_DROPPED,
    attributes.WORKER_OUTCOMES,
)

_OUTCOME_KEYS: Final = {
    "request_id": attributes.REQUEST_ID,
    "unit": attributes.UNIT,
    "metric": attributes.OUTCOME_METRIC,
    "value": attributes.OUTCOME_VALUE,
    "worker": attributes.WORKER_ID,
    "sequence": attributes.OUTCOME_SEQUENCE,
}


_Bounds = tuple[float, float]
"""[begin, end) in nanoseconds since 1970; infinite if open."""


def _bounds(since: datetime | None, until: datetime | None) -> _Bounds:
    return (
        -math.inf if since is None else nanoseconds(since),
        math.inf if until is None else nanoseconds(until),
    )


def _contains(outer: _Bounds, inner: _Bounds) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def in_window(table: ir.Table, since: datetime | None, until: datetime | None) -> ir.Table:
    """Keep the rows whose `time` is in [since, until)."""
    if since is not None:
        table = table.filter(table["time"] >= nanoseconds(since))
    if until is not None:
        table = table.filter(table["time"] < nanoseconds(until))
    return table


def nanoseconds(time: datetime) -> int:
    """Return a time with zone in nanoseconds since 1970."""
    return int(pd.Timestamp(time).as_unit("ns").value)


# ibis calls an engine's function by this signature; an argument without a type may be of any type.
@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def epoch_ns(time) -> int:  # type: ignore[empty-body, no-untyped-def]
    """Call DuckDB's function of that name."""


@ibis.udf.scalar.builtin(name="toUnixTimestamp64Nano")  # type: ignore[untyped-decorator]
def unix_nanoseconds(time) -> int:  # type: ignore[empty-body, no-untyped-def]
    """Call ClickHouse's function `toUnixTimestamp64Nano`."""


class TablePairs(CountedInOnePass):
    """A table with the columns of compacted pairs, such as Parquet files that an engine reads."""

    def __init__(self, table: ir.Table, name: str | None = None) -> None:
        require_join_nulls(table)
        self.name = name or table.get_name()
        self._table = completed(in_nanoseconds(table))

    @property
    def accounting(self) -> Accounting | None:
        """Return None: a table of pairs does not say which pairs are missing."""
        return None

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of a window."""
        return in_window(self._table, since, until)

    def repeated(self) -> None:
        """Return None: the program that wrote the table may have written a pair twice."""

    def tracked(self) -> TrackedOutcomes:
        """Return no outcomes: a table of pairs contains only pairs."""
        return TrackedOutcomes()

    def as_view(self, table: ir.Table) -> ir.Table:
        """Return the table unchanged: not every connection may write."""
        return table

    def cached(self, table: ir.Table) -> ir.Table:
        """Return the table unchanged: not every connection may write."""
        return table


class CollectorTraces(TablePairs):
    """The table `otel_traces` that the collector's ClickHouse exporter writes.

    Its attributes are texts in a map; their names are queried once, in the constructor.
    """

    def __init__(self, traces: ir.Table, name: str | None = None) -> None:
        found = collected_keys(traces)
        columns = {key: column for key in found if (column := column_of(key)) is not None}
        pairs = _pair_spans(traces).select(
            span_id=_.SpanId,
            trace_id=_.TraceId,
            time=_.Timestamp,
            **{column.name: _typed(key, column) for key, column in columns.items()},
        )
        super().__init__(pairs, name or traces.get_name())
        self.traces = traces
        self._pairs = in_nanoseconds(pairs)
        self._prefetched: list[tuple[_Bounds, ir.Table]] = []

    def prefetch(self, since: datetime | None, until: datetime | None) -> None:
        """Copy the attributes of these pairs once; else each statement reads the whole map."""
        bounds = _bounds(since, until)
        if any(_contains(window, bounds) for window, _table in self._prefetched):
            return
        found = temporary_table(in_window(self._pairs, since, until), self)
        if found is not None:
            self._prefetched.append((bounds, completed(found)))

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of a window, from a prefetched table if one covers it."""
        bounds = _bounds(since, until)
        for window, table in self._prefetched:
            if _contains(window, bounds):
                return in_window(table, since, until)
        return super().table(since, until)

    def tracked(self) -> TrackedOutcomes:
        """Return the outcomes among the traces; the records of workers say how many were sent."""
        return TrackedOutcomes.of(self.tracked_rows(), self.records)

    def tracked_rows(self) -> list[dict[str, Any]]:
        """Return a row for each outcome; one that was delivered twice has two rows."""
        ours = self.traces.filter(
            _.ScopeName == attributes.SCOPE, _.SpanName == attributes.OUTCOME_SPAN
        )
        held = {
            name: _.SpanAttributes.get(key, "").nullif("") for name, key in _OUTCOME_KEYS.items()
        }
        rows = in_nanoseconds(ours.select(span_id=_.SpanId, time=_.Timestamp, **held))
        return [
            {**row, "value": float(row["value"] or 1.0), "sequence": int(row["sequence"] or 0)}
            for row in rows.to_pyarrow().to_pylist()
        ]

    @cached_property
    def accounting(self) -> Accounting:
        """Compare the pairs with the start and stop records of workers, which are spans as well."""
        return account_source(self, 0, ReadCounts(worker_records=self.records), unique=False)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Return the records of workers; a missing text is left out."""
        workers = self.traces.filter(
            _.ScopeName == attributes.SCOPE, _.SpanName == attributes.WORKER_SPAN
        )
        held = workers.select(
            **{attributes.SERVICE_NAME: _.ServiceName},
            **{key: _.SpanAttributes.get(key, "") for key in _RECORD_KEYS},
        )
        rows = held.distinct().to_pyarrow().to_pylist()
        return [{key: text for key, text in row.items() if text} for row in rows]


class PairsWithSpans(CollectorTraces):
    """A table of pairs, and beside it a table of the collector's other spans.

    `deploy/clickhouse` keeps both up to date.
    """

    def __init__(self, pairs: ir.Table, spans: ir.Table, name: str | None = None) -> None:
        TablePairs.__init__(self, pairs, name)
        self.traces = spans
        self._prefetched = []

    def prefetch(self, since: datetime | None, until: datetime | None) -> None:
        """Do nothing: the columns are narrow."""


def collected_keys(traces: ir.Table) -> list[str]:
    """Return the names of all attributes of pairs in a collector's table."""
    keys = _pair_spans(traces).select(key=_.SpanAttributes.keys().unnest()).distinct()
    return sorted(row["key"] for row in keys.to_pyarrow().to_pylist())


def _pair_spans(traces: ir.Table) -> ir.Table:
    return traces.filter(_.ScopeName == attributes.SCOPE, _.SpanName == attributes.PAIR_SPAN)


def in_nanoseconds(table: ir.Table) -> ir.Table:
    """Turn the column `time` into nanoseconds since 1970, exact to a microsecond or better."""
    if table.schema()["time"].is_integer():
        return table
    backend = table.get_backend().name
    if backend == "duckdb":
        return table.mutate(time=epoch_ns(table.time))
    if backend == "clickhouse":
        return table.mutate(time=unix_nanoseconds(table.time))
    seconds = table.time.epoch_seconds().cast("int64") * 1_000_000_000
    return table.mutate(time=seconds + table.time.microsecond().cast("int64") * 1000)


def completed(table: ir.Table) -> ir.Table:
    """Add the fixed columns of pairs that the table lacks, all missing."""
    fixed = (*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values())
    missing = (column for column in fixed if column.name not in table.columns)
    absent = {column.name: ibis.null(ibis_type(column)) for column in missing}
    return table.mutate(**absent) if absent else table


def ibis_type(column: Column) -> str:
    """Return ibis's name for the type of a column."""
    return next((name for kind, name in _TYPES if kind is column.type), "string")


def unfit_columns(table: ir.Table) -> list[str]:
    """List the columns with a wrong type, as messages; a boolean may be a whole number."""
    fits = {
        "string": lambda kind: kind.is_string(),
        "float64": lambda kind: kind.is_numeric(),
        "int64": lambda kind: kind.is_numeric(),
        "boolean": lambda kind: kind.is_boolean() or kind.is_integer(),
    }
    expected = {each.name: ibis_type(each) for each in ATTRIBUTE_COLUMNS.values()}
    return [
        f"its column {name} is {kind}, not {expected[name]}"
        for name, kind in table.schema().items()
        if name in expected and not (kind.is_null() or fits[expected[name]](kind))
    ]


def _typed(key: str, column: Column) -> Any:
    text = _.SpanAttributes.get(key, "").nullif("")
    match ibis_type(column):
        case "boolean":
            return text == "true"
        case "string":
            return text
        case number:
            return text.try_cast(number)
