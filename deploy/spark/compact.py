"""Compact pairs by Spark: pair files, or a collector's table, into a folder that the gate reads.

    spark-submit deploy/spark/compact.py s3a://bucket/raw --into s3://bucket/pairs
    spark-submit deploy/spark/compact.py --table lake.otel_traces --into s3://bucket/pairs

It writes the same folder as `bentoml migration compact`, from all existing pairs in one run: for
pairs of a long time, or too many for one machine. The folder must be new. To compact new pairs
every hour, use `bentoml migration compact`, which is incremental.

The driver needs this package with the extras `comparison` and `spark`; executors need only Spark.
Files may be compressed by gzip; Zstandard needs Hadoop's native library. Lines that are not JSON
are counted as corrupt; single invalid spans are not detected.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _
from pyspark.sql import SparkSession

from comparison.engines.connections import connect_to
from comparison.engines.sources import scored_outputs
from comparison.engines.spark import read_by_spark
from comparison.engines.tables import CollectorTraces
from comparison.pairs.arrow import NANOSECONDS
from comparison.pairs.compacted import PAIRS, REPEATED, CompactionState, parquet_file
from comparison.pairs.compaction.parts import PartWriter
from comparison.pairs.compaction.targets import target_at
from comparison.pairs.opening import STATE_FILE, is_compacted
from comparison.pairs.stores.folders import folder_at
from flags.export import attributes

_VALUE: Final = "struct<stringValue:string, boolValue:string, intValue:string, doubleValue:string>"
_KEYED: Final = f"array<struct<key:string, value:{_VALUE}>>"
_LINE: Final = (
    f"resourceSpans array<struct<resource:struct<attributes:{_KEYED}>, "
    "scopeSpans:array<struct<scope:struct<name:string>, spans:array<struct<"
    "traceId:string, spanId:string, name:string, startTimeUnixNano:string, "
    f"attributes:{_KEYED}>>>>>>"
)
"""Spark's schema of the used parts of a line of a pair file (OTLP/JSON)."""

_TEXT: Final = (
    "coalesce(a.value.stringValue, a.value.boolValue, a.value.intValue, a.value.doubleValue, '')"
)
_LINES: Final = f"""
    SELECT CAST(span.startTimeUnixNano AS BIGINT) AS Timestamp,
           span.traceId AS TraceId, span.spanId AS SpanId, span.name AS SpanName,
           element_at(transform(filter(resource.attributes, a -> a.key = '{attributes.SERVICE_NAME}'),
                                a -> {_TEXT}), 1) AS ServiceName,
           scope.scope.name AS ScopeName,
           map_from_entries(transform(span.attributes, a -> struct(a.key, {_TEXT})))
               AS SpanAttributes
    FROM (SELECT resource, scope, explode(scope.spans) AS span
          FROM (SELECT each.resource, explode(each.scopeSpans) AS scope
                FROM (SELECT explode(line.resourceSpans) AS each FROM {{lines}})))
"""  # noqa: S608, E501 - our own names
"""A query for the spans of pair files, with the columns of a collector's table.

Times are nanoseconds as whole numbers.
"""


def traces_of_files(connection: Any, source: str) -> tuple[Any, int, int]:
    """Return the spans of pair files, the number of lines, and the number of corrupt ones."""
    session = connection._session
    files = session.read.option("recursiveFileLookup", "true").option(
        "pathGlobFilter", "*.{jsonl,jsonl.gz,jsonl.zst}"
    )
    files.text(source).createOrReplaceTempView("raw_lines")
    session.sql(
        f"SELECT from_json(value, '{_LINE}') AS line FROM raw_lines WHERE trim(value) != ''"  # noqa: S608
    ).createOrReplaceTempView("lines")
    counted = session.sql("SELECT count(*), count_if(line.resourceSpans IS NULL) FROM lines")
    lines, corrupt = counted.first()
    session.sql(_LINES.format(lines="lines")).createOrReplaceTempView("collected")
    return connection.table("collected"), lines, corrupt


def write(connection: Any, source: CollectorTraces, into: str, lines: int, corrupt: int) -> int:
    """Write pairs, records and state; return the number of pairs."""
    folder = folder_at(into)
    target = target_at(folder)
    with target.locked() as staging:
        if is_compacted(folder):
            raise SystemExit(f"{into} is compacted already: name a new folder")
        session = connection._session
        every = source.table()
        order = ibis.window(group_by=_.span_id, order_by=_.time)
        numbered = every.mutate(
            date=(_.time // 86_400_000_000_000).cast("int32"),
            again=ibis.row_number().over(order) > 0,
        )
        numbered = connection.create_view("numbered", numbered)
        frame = (
            session.table("numbered")
            .selectExpr("* EXCEPT (date)", "date_from_unix_date(date) AS date")
            .persist()
        )
        kept = frame.where("NOT again").drop("again")
        kept.repartition("flag", "date").sortWithinPartitions("time").write.partitionBy(
            "flag", "date"
        ).option("compression", "zstd").mode("overwrite").parquet(read_by_spark(folder / PAIRS))
        with_timestamps(folder / PAIRS)
        frame.where("again").select("flag", "time").coalesce(1).write.mode("overwrite").parquet(
            read_by_spark(folder / REPEATED)
        )
        with_timestamps(folder / REPEATED)
        pairs = frame.where("NOT again").count()
        records = source.records
        parts = PartWriter(folder, staging, 1)
        parts.finish(records, (), source.tracked_rows())
        staging.mkdir(exist_ok=True)
        state = CompactionState(
            runs=1, lines=lines, corrupt=corrupt, outputs=list(scored_outputs(every.columns))
        )
        (staging / STATE_FILE).write_bytes(state.dumps())
        target.commit()
        return int(pairs)


def with_timestamps(folder: Path) -> None:
    """Convert the times in files that Spark wrote to timestamps, on all cores of this machine.

    Spark's timestamps have microseconds, so it wrote nanoseconds as whole numbers. `compact` may
    add files with timestamps later, and readers read all files of a folder as one table.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(_rewrite, list(folder.rglob("*.parquet"))))


def _rewrite(path: Path) -> None:
    """Rewrite a file with timestamps, under a name of the form that `compact` uses."""
    number = path.name.split("-")[1]  # of part-00000-...
    into = path.with_name(f"000001-{number}.parquet")
    with parquet_file(path) as written:
        place = written.schema_arrow.get_field_index("time")
        schema = written.schema_arrow.set(place, pa.field("time", NANOSECONDS))
        with into.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for rows in written.iter_batches(2**17):
                writer.write_table(pa.Table.from_batches([rows]).cast(schema))
    path.unlink()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="spark-submit deploy/spark/compact.py")
    parser.add_argument("source", nargs="?", help="folder of pair files, as Spark names it")
    parser.add_argument("--table", help="a collector's table of Spark's catalog instead")
    parser.add_argument("--into", required=True, help="a new folder, or s3://BUCKET/PREFIX")
    given = parser.parse_args(arguments)
    if bool(given.source) == bool(given.table):
        parser.error("name a folder of pair files, or a collector's --table")
    SparkSession.builder.appName("compact pairs").getOrCreate()  # that of spark-submit
    connection = connect_to("spark://local")
    lines = corrupt = 0
    if given.table:
        traces = connection.table(given.table)
    else:
        source = given.source if "://" in given.source else str(Path(given.source).absolute())
        traces, lines, corrupt = traces_of_files(connection, source)
    pairs = write(connection, CollectorTraces(traces, given.into), given.into, lines, corrupt)
    print(f"Took {pairs:,} pairs into {given.into}.")


if __name__ == "__main__":
    main()
