"""Write the SQL that keeps the pairs of a collector's table in narrow columns, as they arrive.

The columns are those of compacted pairs, for the attributes that the table holds now; run it again
and add the columns that are new when the service gets a further output, segment or feature.

    python deploy/clickhouse/pairs_sql.py clickhouse://host/otel?table=otel_traces > pairs.sql
    python deploy/clickhouse/pairs_sql.py --of pairs    the attributes of pair files in a folder
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Final

from comparison.engines.places import table_at
from comparison.engines.sources import RECORDS_SUFFIX
from comparison.engines.tables import collected_keys, ibis_type
from comparison.pairs.columns import column_of
from comparison.pairs.files import read_blocks
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.stores.folders import folder_at
from flags.export import attributes

_TYPES: Final = {
    "string": ("LowCardinality(Nullable(String))", "nullIf(SpanAttributes[{key}], '')"),
    "float64": ("Nullable(Float64)", "toFloat64OrNull(SpanAttributes[{key}])"),
    "int64": ("Nullable(Int64)", "toInt64OrNull(SpanAttributes[{key}])"),
    "boolean": (
        "Nullable(Bool)",
        "if(SpanAttributes[{key}] = '', NULL, SpanAttributes[{key}] = 'true')",
    ),
}
_UNIQUE: Final = ("request_id", "unit")
"""Columns without a dictionary, because their values hardly repeat."""

_SQL: Final = """\
-- Pairs in narrow columns, kept as the collector's exporter writes `{traces}`: the gate reads them
-- by clickhouse://HOST/DATABASE?table={pairs}, with the verdict of `{traces}` at a fraction of its
-- cost. Written by deploy/clickhouse/pairs_sql.py; run it for your own outputs and segments.
-- Counts by the hour are not kept here: a span that is delivered twice, as a collector may after an
-- outage, would count twice in them, while the gate leaves the second one out of these rows.

CREATE TABLE IF NOT EXISTS {pairs} (
    span_id String,
    trace_id String,
    time Int64 CODEC(Delta, ZSTD(1)), -- nanoseconds since 1970
{types}
) ENGINE = MergeTree
PARTITION BY toDate(fromUnixTimestamp64Nano(time))
ORDER BY (ifNull(flag, ''), time)
-- TTL toDate(fromUnixTimestamp64Nano(time)) + INTERVAL 90 DAY
;

CREATE MATERIALIZED VIEW IF NOT EXISTS {pairs}_as_they_come TO {pairs} AS
{select};

-- What workers record of themselves, and outcomes that an application tracked: few rows, by which
-- the gate knows what is missing.
CREATE TABLE IF NOT EXISTS {pairs}{records} (
    Timestamp DateTime64(9),
    TraceId String,
    SpanId String,
    SpanName LowCardinality(String),
    ServiceName LowCardinality(String),
    ScopeName LowCardinality(String),
    SpanAttributes Map(LowCardinality(String), String)
) ENGINE = MergeTree
ORDER BY (SpanName, Timestamp);

CREATE MATERIALIZED VIEW IF NOT EXISTS {pairs}{records}_as_they_come TO {pairs}{records} AS
{select_records};

-- What was there before: once, and only spans from before the views.
-- INSERT INTO {pairs} {select_one_line};
-- INSERT INTO {pairs}{records} {records_one_line};
"""


def statements(keys: Iterable[str], traces: str = "otel_traces", pairs: str = "pairs") -> str:
    """Return the SQL for the attributes that spans of pairs have."""
    columns = [(key, column) for key in sorted(keys) if (column := column_of(key)) is not None]
    types, values = [], []
    for key, column in columns:
        type_, value = _TYPES[ibis_type(column)]
        type_ = "Nullable(String)" if column.name in _UNIQUE else type_
        name = _escaped(column.name, "`")
        types.append(f"    {name} {type_} CODEC(ZSTD(1))")
        read = value.format(key=_escaped(key, "'"))
        values.append(f"    {read} AS {name}")
    ours = f"WHERE ScopeName = '{attributes.SCOPE}' AND SpanName"
    fixed = ["    SpanId AS span_id", "    TraceId AS trace_id"]
    fixed.append("    toUnixTimestamp64Nano(Timestamp) AS time")
    selected = ",\n".join([*fixed, *values])
    select = f"SELECT\n{selected}\nFROM {traces}\n{ours} = '{attributes.PAIR_SPAN}'"
    select_records = (
        "SELECT Timestamp, TraceId, SpanId, SpanName, ServiceName, ScopeName, SpanAttributes\n"
        f"FROM {traces}\n{ours} IN ('{attributes.WORKER_SPAN}', '{attributes.OUTCOME_SPAN}')"
    )
    return _SQL.format(
        traces=traces,
        pairs=pairs,
        records=RECORDS_SUFFIX,
        types=",\n".join(types),
        select=select,
        select_records=select_records,
        select_one_line=" ".join(select.split()),
        records_one_line=" ".join(select_records.split()),
    )


def _escaped(name: str, quote: str) -> str:
    """Return a name in quotes, escaped, because names of outputs may have any characters."""
    inner = name.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{inner}{quote}"


def keys_of_files(folder: str) -> set[str]:
    """Return the attributes of the pairs in pair files."""
    blocks = read_blocks(folder_at(folder), ReadCounts())
    return {key for block in blocks for shape in block for key in shape}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the SQL."""
    parser = argparse.ArgumentParser(prog="python deploy/clickhouse/pairs_sql.py")
    parser.add_argument("url", nargs="?", help="the collector's table, with ?table=otel_traces")
    parser.add_argument("--of", metavar="FOLDER", help="take the attributes of pair files instead")
    parser.add_argument("--traces", default="otel_traces", help="name of the collector's table")
    parser.add_argument("--pairs", default="pairs", help="name of the table to make")
    given = parser.parse_args(arguments)
    if bool(given.url) == bool(given.of):
        parser.error("name the collector's table, or --of a folder of pair files")
    keys = keys_of_files(given.of) if given.of else collected_keys(table_at(given.url))
    print(statements(keys, given.traces, given.pairs))


if __name__ == "__main__":
    main()
