"""The pairs of a compacted folder, counted by Spark on this machine or on a cluster.

spark://local?folder=compacted                     Spark in this process, with all cores
spark://master:7077?folder=s3://bucket/pairs       a cluster, whose machines read the folder
spark://local?table=otel_traces                    a table of its catalog
"""

import os
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from comparison.engines.connections import connect_to
from comparison.engines.engine_urls import shown_url
from comparison.engines.parquet import ParquetPairs
from comparison.engines.tables import completed, in_nanoseconds
from comparison.pairs.arrow import arrow_type
from comparison.pairs.columns import ATTRIBUTE_COLUMNS, SPAN_COLUMNS
from comparison.pairs.compacted import PAIRS, pair_parts, read_state
from comparison.pairs.stores.folders import folder_at


def folder_of(url: str) -> str | None:
    """Return the compacted folder in a Spark URL; None if the URL names none."""
    return parse_qs(urlsplit(url).query).get("folder", [None])[0]


class SparkPairs(ParquetPairs):
    """The pairs that `compact` wrote, read by Spark."""

    @classmethod
    def at(cls, url: str, folder: str) -> "SparkPairs":
        """Connect to Spark and open a folder. Raises PlaceError or a ComparisonError."""
        pairs = folder_at(folder)
        read_state(pairs)  # report a bad folder before Spark starts, which takes seconds
        found = cls(pairs, connect_to(url))
        found.name = shown_url(url)
        return found

    @property
    def keeps_counts(self) -> bool:
        """Return False: kept counts are those of DuckDB."""
        return False

    def as_view(self, table: ir.Table) -> ir.Table:
        """Create a view."""
        return self._connection.create_view(f"view_{uuid4().hex}", table)

    def cached(self, table: ir.Table) -> ir.Table:
        """Create a view whose rows Spark caches at their first use."""
        name = f"kept_{uuid4().hex}"
        view = self._connection.create_view(name, table)
        self._connection._session.catalog.cacheTable(name)
        return view

    @cached_property
    def _all_pairs(self) -> ir.Table:
        paths = [read_by_spark(part.path) for part in pair_parts(self._folder, self._state)]
        if not paths:
            columns = [*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values()]
            types = {column.name: arrow_type(column.type) for column in columns}
            schema = pa.schema({**types, "time": pa.int64(), "date": pa.date32()})
            return ibis.memtable(schema.empty_table())
        session, name = self._connection._session, f"pairs_{uuid4().hex}"
        read = session.read.option("basePath", read_by_spark(self._folder / PAIRS))
        read.option("mergeSchema", "true").parquet(*paths).createOrReplaceTempView(name)
        table = completed(in_nanoseconds(self._connection.table(name)))
        table = table.mutate(date=ibis._.date.cast("date"))
        return self.as_view(table.select(*self._in_order(table.columns)))


def read_by_spark(path: Path) -> str:
    """Return a path as a URL of Hadoop's file systems."""
    name = str(path)
    if "://" not in name:
        return f"file://{path.absolute()}"  # not by `as_uri`: Spark does not decode %
    if name.startswith("az://"):
        container, _, key = name.removeprefix("az://").partition("/")
        account = os.environ.get("AZURE_STORAGE_ACCOUNT", "")
        return f"abfss://{container}@{account}.dfs.core.windows.net/{key}"
    return name.replace("s3://", "s3a://", 1)
