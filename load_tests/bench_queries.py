"""Measure what an hourly look at the pairs costs in each engine, `comparison.counts.aggregate`.

Made-up pairs of eight days, the same in every engine: Parquet files as `compact` writes them, and
the collector's table in ClickHouse. Quoted is the processor time of the whole process tree per
million pairs, the least of the looks: others on the machine disturb it less than elapsed time.
Engines that are not installed are left out: chdb with clickhouse-connect, PySpark with Java.

    python load_tests/bench_queries.py
    python load_tests/bench_queries.py --engines spark --rows 1000000
"""

import argparse
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

from comparison.counts.aggregate import aggregate  # noqa: E402
from comparison.engines.parquet import ParquetPairs  # noqa: E402
from comparison.engines.sources import PairSource  # noqa: E402
from comparison.engines.tables import CollectorTraces, TablePairs  # noqa: E402
from load_tests import collector_table  # noqa: E402
from load_tests.generated_pairs import FLAG, write_pairs  # noqa: E402

LOOKS: Final = 3
NEEDS: Final = {
    "duckdb": "duckdb",
    "clickhouse": "chdb",
    "collector": "chdb",
    "spark": "pyspark",
}
"""What of each engine has to be importable."""


def duckdb(folder: Path) -> PairSource:
    """Return the files, read by DuckDB in this process: what `gate` and `compare` do."""
    return ParquetPairs(folder)


def clickhouse(folder: Path) -> PairSource:
    """Return the files as a table of ClickHouse."""
    client = _client()
    client.command("DROP TABLE IF EXISTS pairs")
    client.command(
        "CREATE TABLE pairs ENGINE = MergeTree PARTITION BY date ORDER BY time "  # noqa: S608 - our own path
        "SETTINGS allow_nullable_key = 1 AS SELECT * FROM "
        f"file('{folder}/pairs/flag=*/date=*/*.parquet', Parquet) "
        "SETTINGS use_hive_partitioning = 1"
    )
    return TablePairs(ibis.clickhouse.from_connection(client).table("pairs"), "clickhouse")


def collector(folder: Path) -> PairSource:
    """Return the pairs in the table that the collector's exporter fills."""
    client = _client()
    collector_table.create(client)
    collector_table.fill_from_parquet(client, folder, FLAG)
    connection = ibis.clickhouse.from_connection(client)
    return CollectorTraces(connection.table(collector_table.TABLE))


def spark(folder: Path) -> PairSource:
    """Return the files as a table of Spark, on this machine."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.legacy.parquet.nanosAsLong": "true",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    connection = ibis.pyspark.connect(session)
    session.read.parquet(str(folder / "pairs")).createOrReplaceTempView("pairs")
    return TablePairs(connection.table("pairs"), "spark")


ENGINES: Final[dict[str, Callable[[Path], PairSource]]] = {
    each.__name__: each for each in (duckdb, clickhouse, collector, spark)
}


def used() -> float:
    """Return the processor seconds of this process and those that it started."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def look(source: PairSource, since: datetime | None) -> tuple[float, float, Any]:
    """Return processor seconds, elapsed seconds and the counts of one look."""
    before, began = used(), time.monotonic()
    counts = aggregate(source, flag=FLAG, rollout=10.0, since=since)
    return used() - before, time.monotonic() - began, counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a line per engine."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_queries.py")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=tuple(ENGINES))
    options = parser.parse_args(arguments)
    millions = options.rows / 1e6
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "compacted"
        write_pairs(folder, options.rows)
        size = sum(path.stat().st_size for path in folder.glob("pairs/**/*.parquet"))
        print(f"{options.rows:,} pairs, {size / options.rows:.0f} bytes each in Parquet")
        for name in options.engines:
            if find_spec(NEEDS[name]) is None:
                print(f"{name}: {NEEDS[name]} is not installed")
                continue
            before = used()
            source = ENGINES[name](folder)
            filled = used() - before
            looks = [look(source, None) for _ in range(LOOKS)]
            last_day = [look(source, datetime(2026, 3, 9, tzinfo=UTC)) for _ in range(LOOKS)]
            cost, elapsed, counts = min(looks, key=lambda each: each[0])
            day = min(last_day, key=lambda each: each[0])[0]
            print(
                f"{name}: {cost / millions:.1f} s of a core per million pairs, {elapsed:.1f} s "
                f"elapsed; the last of eight days {day:.1f} s; made ready in {filled:.1f} s; "
                f"alarms counted {int(counts.outputs[0].alarms['n'].sum()):,}"
            )
            if name == "collector":
                per_pair = collector_table.size_on_disk(_client()) / options.rows
                print(f"collector: {per_pair:.0f} bytes per pair on disk")


def _client() -> Any:
    import clickhouse_connect

    return clickhouse_connect.get_client(interface="chdb")


if __name__ == "__main__":
    main()
