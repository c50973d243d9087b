"""The table `otel_traces`, created and filled like by the collector's ClickHouse exporter.

`client` is a client of clickhouse-connect. Columns, codecs, indices, order and partitions are the
exporter's (sql_templates, 0.128), because the size of a pair on disk depends on them.
"""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from comparison.pairs.columns import ATTRIBUTE_COLUMNS, column_of
from comparison.pairs.opening import find_files, open_file
from comparison.pairs.sides import SIDES
from flags.export import attributes

TABLE: Final = "otel_traces"
_HOUR: Final = 3_600_000_000_000
_TEXT = "String CODEC(ZSTD(1))"
_WORD = "LowCardinality(String) CODEC(ZSTD(1))"
_MAP = "Map(LowCardinality(String), String)"
_COLUMNS: Final = {
    "Timestamp": "DateTime64(9) CODEC(Delta, ZSTD(1))",
    "TraceId": _TEXT,
    "SpanId": _TEXT,
    "ParentSpanId": _TEXT,
    "TraceState": _TEXT,
    "SpanName": _WORD,
    "SpanKind": _WORD,
    "ServiceName": _WORD,
    "ResourceAttributes": f"{_MAP} CODEC(ZSTD(1))",
    "ScopeName": _TEXT,
    "ScopeVersion": _TEXT,
    "SpanAttributes": f"{_MAP} CODEC(ZSTD(1))",
    "Duration": "UInt64 CODEC(ZSTD(1))",
    "StatusCode": _WORD,
    "StatusMessage": _TEXT,
    "Events": f"Nested(Timestamp DateTime64(9), Name LowCardinality(String), Attributes {_MAP})"
    " CODEC(ZSTD(1))",
    "Links": f"Nested(TraceId String, SpanId String, TraceState String, Attributes {_MAP})"
    " CODEC(ZSTD(1))",
}
_INDICES: Final = {
    "idx_trace_id": "TraceId TYPE bloom_filter(0.001)",
    "idx_res_attr_key": "mapKeys(ResourceAttributes) TYPE bloom_filter(0.01)",
    "idx_res_attr_value": "mapValues(ResourceAttributes) TYPE bloom_filter(0.01)",
    "idx_span_attr_key": "mapKeys(SpanAttributes) TYPE bloom_filter(0.01)",
    "idx_span_attr_value": "mapValues(SpanAttributes) TYPE bloom_filter(0.01)",
    "idx_duration": "Duration TYPE minmax",
}
_FILLED: Final = {
    "TraceId": "String",
    "SpanId": "String",
    "SpanName": "String",
    "ServiceName": "String",
    "ResourceAttributes": _MAP,
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": _MAP,
    "Duration": "UInt64",
}
"""Columns that our spans fill, with their types, except the time."""

_OF_UNITS: Final = (attributes.UNIT, attributes.DRAWN, attributes.STICKINESS)


def create(client: Any) -> None:
    """Create the empty table."""
    columns = [f"{name} {kind}" for name, kind in _COLUMNS.items()]
    columns += [f"INDEX {name} {what} GRANULARITY 1" for name, what in _INDICES.items()]
    client.command(f"DROP TABLE IF EXISTS {TABLE}")
    client.command(
        f"CREATE TABLE {TABLE} ({', '.join(columns)}) ENGINE = MergeTree "
        "PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))"
    )


def fill_from_files(client: Any, pairs: Path, folder: Path, copies: int) -> int:
    """Insert each pair `copies` times, with new ids; return the number of rows."""
    path, count = folder / "rows.jsonl", 0
    with path.open("wb") as file:
        for row in _rows(pairs, copies):
            file.write(orjson.dumps(row) + b"\n")
            count += 1
    names = ", ".join(_FILLED)
    schema = ", ".join(f"{name} {kind}" for name, kind in _FILLED.items())
    client.command(
        f"INSERT INTO {TABLE} (Timestamp, {names}) SELECT fromUnixTimestamp64Nano(time), {names} "  # noqa: S608 - our own names
        f"FROM file('{path}', JSONEachRow, 'time Int64, {schema}')"
    )
    client.command(f"OPTIMIZE TABLE {TABLE} FINAL")
    path.unlink()
    return count


def fill_from_parquet(client: Any, compacted: Path, flag: str) -> None:
    """Insert the pairs of a compacted folder; their columns become attributes again."""
    files = f"file('{compacted}/pairs/**/*.parquet', Parquet)"
    described = client.query(f"DESCRIBE TABLE {files}").result_rows
    entries = [f"'{attributes.FLAG_KEY}', '{flag}'"]
    for name, *_ in described:
        if (attribute := _attribute_of(name)) is not None:
            entries.append(f"'{attribute}', ifNull(toString(\"{name}\"), '')")
    client.command(
        f"INSERT INTO {TABLE} (Timestamp, TraceId, SpanId, SpanName, ServiceName, ScopeName, "  # noqa: S608 - our own names
        "SpanAttributes, Duration) "
        f"SELECT time, trace_id, span_id, '{attributes.PAIR_SPAN}', 'Service', "
        f"'{attributes.SCOPE}', mapFilter((key, value) -> value != '', map({', '.join(entries)})), "
        f"0 FROM {files}"
    )
    client.command(f"OPTIMIZE TABLE {TABLE} FINAL")


def size_on_disk(client: Any) -> int:
    """Return the bytes of the table's parts, including indices."""
    answer = client.query(
        f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = '{TABLE}'"  # noqa: S608
    )
    return int(answer.result_rows[0][0])


def _rows(pairs: Path, copies: int) -> Iterator[dict[str, Any]]:
    for copy, path in itertools.product(range(copies), find_files(pairs)):
        with open_file(path) as file:
            lines = b"".join(iter(lambda: file.read(2**20), b"")).splitlines()
        for line in lines:
            resource = orjson.loads(line)["resourceSpans"][0]
            about = _plain(resource["resource"])
            (scope,) = resource["scopeSpans"]
            for span in scope["spans"]:
                if span["name"] == attributes.PAIR_SPAN:
                    # Adjacent copies with the same time would be compressed too well.
                    yield _row(about, scope["scope"], span, copy * _HOUR)


def _row(
    about: dict[str, str], scope: dict[str, str], span: dict[str, Any], later: int
) -> dict[str, Any]:
    told = _plain(span)
    request = secrets.token_hex(16)
    told |= {attributes.REQUEST_ID: request, attributes.FLAG_CONTEXT_ID: request}
    begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    return {
        "time": begin + later,
        "TraceId": secrets.token_hex(16),
        "SpanId": secrets.token_hex(8),
        "SpanName": span["name"],
        "ServiceName": about[attributes.SERVICE_NAME],
        "ResourceAttributes": about,
        "ScopeName": scope["name"],
        "ScopeVersion": scope["version"],
        "SpanAttributes": told,
        "Duration": end - begin,
    }


def _plain(holder: dict[str, Any]) -> dict[str, str]:
    """Return attributes as texts, like the exporter."""
    found = {}
    for each in holder["attributes"]:
        (value,) = each["value"].values()
        found[each["key"]] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _attribute_of(column: str) -> str | None:
    """Return the attribute of a column."""
    for attribute in (*ATTRIBUTE_COLUMNS, *_OF_UNITS):
        if (known := column_of(attribute)) is not None and known.name == column:
            return attribute
    start, _, rest = column.partition(".")
    if start in ("segment", "feature"):
        return f"migration.{column}"
    side, _, what = start.partition("_")
    return attributes.side(side, what, rest) if side in SIDES and rest else None
