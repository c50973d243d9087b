"""The collector's table in ClickHouse, and the rows that its exporter makes of our lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flags.export import attributes

CREATE = """
CREATE TABLE {name} (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String,
    SpanId String,
    ParentSpanId String,
    TraceState String,
    SpanName LowCardinality(String),
    SpanKind LowCardinality(String),
    ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeName String,
    ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String),
    Duration UInt64,
    StatusCode LowCardinality(String),
    StatusMessage String
) ENGINE = MergeTree ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
"""
"""The columns of the collector's ClickHouse exporter, without its events and links."""

COLUMNS = (
    *("Timestamp", "TraceId", "SpanId", "SpanName", "ScopeName", "SpanAttributes"),
    *("ParentSpanId", "TraceState", "SpanKind", "ServiceName", "ResourceAttributes"),
    *("ScopeVersion", "Duration", "StatusCode", "StatusMessage"),
)


def exported(line: str) -> Iterator[list[Any]]:
    """Yield the rows that the exporter makes of a line: every value is a text."""
    for resource in json.loads(line)["resourceSpans"]:
        about = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
        service = worded(about[attributes.SERVICE_NAME])
        for scope in resource["scopeSpans"]:
            for each in scope["spans"]:
                held = {pair["key"]: worded(pair["value"]) for pair in each["attributes"]}
                own = [int(each["startTimeUnixNano"]), each["traceId"], each["spanId"]]
                rest = ["", "", "SPAN_KIND_INTERNAL", service, {}, "0.1.0", 2_000_000, "Unset", ""]
                yield [*own, each["name"], scope["scope"]["name"], held, *rest]


def worded(value: dict[str, Any]) -> str:
    [held] = value.values()
    return str(held).lower() if isinstance(held, bool) else str(held)


def fill(client: Any, name: str, pairs: Path) -> None:
    """Make the table, and write into it what was recorded in a folder."""
    client.command(CREATE.format(name=name))
    client.insert(name, exported_rows(pairs), column_names=COLUMNS)


def exported_rows(pairs: Path) -> list[list[Any]]:
    """Return the rows of all lines in a folder."""
    lines = [
        line for path in sorted(pairs.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]
    return [row for line in lines for row in exported(line)]
