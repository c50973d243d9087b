"""Tables of other engines, and what the collector writes into ClickHouse, are pairs like others."""

import json
from datetime import UTC, datetime
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pytest

from comparison.engines.embedded import connect, register_table
from comparison.engines.sources import FramePairs
from comparison.engines.tables import CollectorTraces, TablePairs
from comparison.pairs.reader import read_all
from flags.export import attributes
from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans, TrackedOutcome
from tests.support.clickhouse import clickhouse, needs_clickhouse
from tests.support.collector_rows import COLUMNS, CREATE, exported
from tests.support.counting import aggregate
from tests.support.pair_files import FLAG, PairFile, Scored, failed, one_by_one, span, traces
from tests.support.reference_counts import assert_equal

NANOSECONDS = 1_763_880_000_123_456_789


def in_duckdb(held: pa.Table) -> ir.Table:
    return register_table(connect(), "pairs", held)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (pa.int64(), NANOSECONDS),
        # DuckDB 1 keeps times with a zone in microseconds: docs/adr/0024.
        (pa.timestamp("ns", "UTC"), NANOSECONDS // 1_000 * 1_000),
        (pa.timestamp("us", "UTC"), NANOSECONDS // 1_000 * 1_000),
        (pa.timestamp("ns"), NANOSECONDS),
    ],
    ids=str,
)
def test_times_of_any_resolution_become_nanoseconds(kind: pa.DataType, kept: int) -> None:
    time = pa.array([NANOSECONDS], pa.int64())
    if kind != pa.int64():
        time = time.cast(pa.timestamp("ns")).cast(kind, safe=False)
    pairs = TablePairs(in_duckdb(pa.table({"span_id": ["a"], "time": time})))
    assert pairs.table().time.to_pyarrow().to_pylist() == [kept]


def test_columns_that_a_table_has_not_are_missing_values() -> None:
    held = pa.table({"span_id": ["a"], "flag": [FLAG], "time": pa.array([NANOSECONDS])})
    pairs = TablePairs(in_duckdb(held))
    assert pairs.name == "pairs"
    assert pairs.accounting is None
    [row] = pairs.table().to_pyarrow().to_pylist()
    assert row["worker"] is None
    assert row["primary_duration"] is None
    found = aggregate(pairs)
    assert found.flag == FLAG
    assert found.pairs["n"].tolist() == [1]


# --- the collector's table ------------------------------------------------------------------------


def collected(name: str, *batches: list[str]) -> CollectorTraces:
    """Return the table into which the exporter has written the lines, batch by batch."""
    client = clickhouse()
    client.command(CREATE.format(name=name))
    for lines in batches:
        rows = [row for line in lines for row in exported(line)]
        client.insert(name, rows, column_names=COLUMNS)
    return CollectorTraces(ibis.clickhouse.from_connection(client).table(name))


@needs_clickhouse
def test_the_collectors_table_gives_the_counts_of_the_files_that_it_was_sent(
    tmp_path: Path,
) -> None:
    file = PairFile(tmp_path)
    file.start()
    for number in range(120):
        file.pair(
            Scored(number / 120, model="fraud:1"),
            failed("timeout", "TimeoutError")
            if number % 9 == 0
            else Scored(number * 7 % 120 / 120),
            active="candidate" if number % 10 == 0 else "primary",
            segments={"channel": "ab"[number % 2]} if number % 3 else None,
            features={"amount": number / 7},
        )
    file.write(span("GET /", {"http.route": "/predict"}))
    file.line(json.dumps(traces(span(attributes.PAIR_SPAN, {}), scope="somebody else")))
    file.stop()
    lines = file.path.read_text().splitlines()
    edges = {"amount": [1.0, 10.0]}
    found = aggregate(collected("otel_traces", lines, lines[:31]), feature_edges=edges)

    again = tmp_path / "again.jsonl"
    again.write_text("\n".join(lines[:31]) + "\n")
    assert_equal(found, aggregate(FramePairs(read_all(tmp_path)), feature_edges=edges))
    assert found.duplicates == 30


@needs_clickhouse
def test_the_collectors_table_tells_how_workers_ended(tmp_path: Path) -> None:
    """The start and stop records are spans, and were sent with the pairs."""
    ended, killed = PairFile(tmp_path, "ended"), PairFile(tmp_path, "killed")
    for file in (ended, killed):
        file.start()
        for _ in range(20):
            file.pair()
    ended.stop(pairs=25, dropped=5)
    lines = [line for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    found = collected("ends_of_workers", lines, lines[:30]).accounting
    of_files = read_all(tmp_path).accounting
    assert found.workers == of_files.workers
    assert (found.found, found.expected) == (40, 45)
    [unclosed_record] = found.unclosed_records(datetime.now(UTC))
    assert (unclosed_record.worker, unclosed_record.max_lost_pairs) == ("killed", None)


@needs_clickhouse
def test_the_collectors_table_gives_the_outcomes_that_were_tracked_each_once(
    tmp_path: Path,
) -> None:
    spans = PairSpans.to_folder(tmp_path, FileLimits(), service="s", version=None)
    spans.record_outcome(TrackedOutcome("complaint", 1.0, "r1", None, NANOSECONDS))
    spans.record_outcome(TrackedOutcome("money_lost", 12.5, None, "0123456789abcdef", NANOSECONDS))
    spans.close()
    (path,) = tmp_path.glob("*.jsonl")
    lines = one_by_one(path)
    found = collected("otel_outcomes", lines, lines).tracked()
    columns = ["metric", "value", "request_id", "unit", "time", "sequence"]
    ours = read_all(tmp_path).tracked
    pd.testing.assert_frame_equal(
        found.frame[columns].sort_values("metric", ignore_index=True),
        ours.frame[columns].sort_values("metric", ignore_index=True),
    )
    assert (len(found.frame), found.repeated) == (2, 2)


@needs_clickhouse
def test_the_collectors_table_tells_which_tracked_outcomes_never_arrived(tmp_path: Path) -> None:
    """A worker that ended in order said how many there were; of a killed one, nobody knows."""
    for name in ("ended", "killed"):
        spans = PairSpans.to_folder(tmp_path / name, FileLimits(), service=name, version=None)
        for number in range(5):
            outcome = TrackedOutcome("complaint", 1.0, f"r{number}", None, NANOSECONDS)
            spans.record_outcome(outcome)
        spans.close()
    lines = {path.parent.name: one_by_one(path) for path in tmp_path.glob("*/*.jsonl")}
    arrived = [*lines["ended"][:3], lines["ended"][-1], *lines["killed"][:4]]
    found = collected("otel_lost_outcomes", arrived).tracked()
    assert (len(found.frame), found.lost, found.unclosed_records) == (5, 3, (NANOSECONDS,))
