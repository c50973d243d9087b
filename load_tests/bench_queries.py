"""Measure the cost of an hourly look at the pairs (`comparison.counts.aggregate`) in each engine.

Every engine has the same generated pairs of eight days: as Parquet files of `compact` on disk
(without and with kept counts) and in a local S3 server; in ClickHouse as the collector's table, and
as the narrow columns of deploy/clickhouse. Each look opens the place anew. The result is the
processor time of the whole process tree, the minimum over the looks, because other load on the
machine affects it less than elapsed time. The last line for each number of pairs compares the
engines; DuckDB is 1. Engines that are not installed are left out: chdb with clickhouse-connect,
PySpark with Java, moto.

    python load_tests/bench_queries.py
    python load_tests/bench_queries.py --engines duckdb spark --rows 100000 1000000 10000000
"""

import argparse
import atexit
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

import ibis  # noqa: E402 - needs the line above

from comparison.counts.aggregate import count  # noqa: E402
from comparison.counts.prepared import PreparedPairs  # noqa: E402
from comparison.engines.parquet import ParquetPairs  # noqa: E402
from comparison.engines.sources import PairSource, open_source  # noqa: E402
from comparison.engines.tables import (  # noqa: E402
    CollectorTraces,
    PairsWithSpans,
    TablePairs,
    collected_keys,
)
from comparison.pairs.stores.folders import folder_at  # noqa: E402
from deploy.clickhouse import pairs_sql  # noqa: E402
from load_tests import collector_table  # noqa: E402
from load_tests.generated_pairs import FLAG, write_pairs  # noqa: E402

NEEDS: Final = {
    "duckdb": "duckdb",
    "kept": "duckdb",
    "store": "moto",
    "narrow": "chdb",
    "clickhouse": "chdb",
    "collector": "chdb",
    "spark": "pyspark",
}
"""The module that must be importable for each engine."""


Place = Callable[[], PairSource]
"""Opens a place for one look."""


class UnkeptPairs(ParquetPairs):
    """Pairs without kept counts, like in a folder that cannot be written."""

    @property
    def keeps_counts(self) -> bool:
        """Say no."""
        return False


def duckdb(folder: Path) -> Place:
    """Return the files, read by DuckDB in this process; nothing is kept."""
    return lambda: UnkeptPairs(folder)


def kept(folder: Path) -> Place:
    """Return the files with the counts beside them: what `gate` and `compare` do."""
    return lambda: ParquetPairs(folder)


def clickhouse(folder: Path) -> Place:
    """Return the files as a table of ClickHouse."""
    client = _client()
    client.command("DROP TABLE IF EXISTS pairs")
    client.command(
        "CREATE TABLE pairs ENGINE = MergeTree PARTITION BY date ORDER BY time "  # noqa: S608 - our own path
        "SETTINGS allow_nullable_key = 1 AS SELECT * FROM "
        f"file('{folder}/pairs/flag=*/date=*/*.parquet', Parquet) "
        "SETTINGS use_hive_partitioning = 1"
    )
    table = ibis.clickhouse.from_connection(client).table("pairs")
    return lambda: TablePairs(table, "clickhouse")


def collector(folder: Path) -> Place:
    """Return the pairs in the table that the collector's exporter fills."""
    client = _client()
    collector_table.create(client)
    collector_table.fill_from_parquet(client, folder, FLAG)
    table = ibis.clickhouse.from_connection(client).table(collector_table.TABLE)
    return lambda: CollectorTraces(table)


def narrow(folder: Path) -> Place:
    """Return the pairs in the columns that ClickHouse keeps as they arrive."""
    client = _client()
    collector(folder)
    traces = ibis.clickhouse.from_connection(client).table(collector_table.TABLE)
    for name in ("pairs", "pairs_records"):
        client.command(f"DROP TABLE IF EXISTS {name}")
        client.command(f"DROP VIEW IF EXISTS {name}_as_they_come")
    sql = pairs_sql.statements(collected_keys(traces))
    lines = [re.sub(r"^-- (?=INSERT )", "", line) for line in sql.splitlines()]
    for statement in "\n".join(line.partition("-- ")[0] for line in lines).split(";"):
        if statement.strip():
            client.command(statement)
    connection = ibis.clickhouse.from_connection(client)
    tables = connection.table("pairs"), connection.table("pairs_records")
    return lambda: PairsWithSpans(*tables, "narrow")


def store(folder: Path) -> Place:
    """Return the files in an object store, read by DuckDB in this process."""
    command = [sys.executable, "-m", "load_tests.s3_server"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    NOT_OURS.add(server.pid)
    os.environ |= {
        "AWS_ENDPOINT_URL": next(iter(server.stdout or ())).strip(),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    into = folder_at("s3://pairs/compacted")
    for path in folder.rglob("*"):
        if path.is_file():
            (into / path.relative_to(folder)).write_bytes(path.read_bytes())
    return lambda: ParquetPairs(into)


def spark(folder: Path) -> Place:
    """Return the files, counted by Spark on this machine."""
    url = f"spark://local?folder={folder}"
    open_source(url)  # starts it
    return lambda: open_source(url)


NOT_OURS: Final[set[int]] = set()
"""Ids of processes that represent other machines, and are not measured."""

ENGINES: Final[dict[str, Callable[[Path], Place]]] = {
    each.__name__: each for each in (duckdb, kept, store, clickhouse, narrow, collector, spark)
}


def used() -> float:
    """Return the processor seconds of this process and those that it started."""
    me = psutil.Process()
    ours = [each for each in me.children(recursive=True) if each.pid not in NOT_OURS]
    times = [each.cpu_times() for each in (me, *ours)]
    return sum(each.user + each.system for each in times)


def look(place: Place, since: datetime | None) -> tuple[float, float, Any]:
    """Return processor seconds, elapsed seconds and the counts of one look."""
    before, began = used(), time.monotonic()
    counts = count(PreparedPairs.of(place(), flag=FLAG, rollout=10.0, since=since))
    return used() - before, time.monotonic() - began, counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a line per engine."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_queries.py")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=tuple(ENGINES))
    parser.add_argument("--looks", type=int, default=3, help="of which the least is quoted")
    options = parser.parse_args(arguments)
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "compacted"
            write_pairs(folder, rows)
            size = sum(path.stat().st_size for path in folder.glob("pairs/**/*.parquet"))
            print(f"{rows:,} pairs, {size / rows:.0f} bytes each in Parquet", flush=True)
            costs = {name: _measure(name, folder, rows, options.looks) for name in options.engines}
        known = {name: cost for name, cost in costs.items() if cost is not None}
        base = known.get("duckdb") or next(iter(known.values()))
        ratios = ", ".join(
            f"{name} {cost:.1f} s ({cost / base:.1f}x)" for name, cost in known.items()
        )
        print(f"{rows:,} pairs: {ratios}", flush=True)


def _measure(name: str, folder: Path, rows: int, times: int) -> float | None:
    """Look at the pairs by one engine; return the processor seconds of a look."""
    if find_spec(NEEDS[name]) is None:
        print(f"{name}: {NEEDS[name]} is not installed")
        return None
    before = used()
    place = ENGINES[name](folder)
    filled = used() - before
    looks = [look(place, None) for _ in range(times)]
    last_day = [look(place, datetime(2026, 3, 9, tzinfo=UTC)) for _ in range(times)]
    cost, elapsed, counts = min(looks, key=lambda each: each[0])
    day = min(last_day, key=lambda each: each[0])[0]
    print(
        f"{name}: {cost:.1f} s of a core, {elapsed:.1f} s elapsed, the first {looks[0][0]:.1f} s; "
        f"the last of eight days {day:.1f} s; made ready in {filled:.1f} s; "
        f"alarms counted {int(counts.outputs[0].alarms['n'].sum()):,}",
        flush=True,
    )
    if name == "collector":
        size = collector_table.size_on_disk(_client()) / rows
        print(f"collector: {size:.0f} bytes per pair on disk")
    return cost


def _client() -> Any:
    import clickhouse_connect

    return clickhouse_connect.get_client(interface="chdb")


if __name__ == "__main__":
    main()
