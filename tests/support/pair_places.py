"""Where pairs can be, each filled from a folder of pair files, and each a URL for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import duckdb
import pyarrow as pa
import pytest

from comparison.pairs.compaction.runs import compact
from tests.support.clickhouse import needs_clickhouse
from tests.support.clickhouse_server import PASSWORD, USER, clickhouse_server
from tests.support.collector_rows import COLUMNS, exported_rows, fill
from tests.support.object_store import BUCKET, object_store
from tests.support.spark import needs_spark, spark_warnings

STORES: Final = ("s3", "gs", "az")

PLACES: Final = (
    "compacted",
    "s3",
    "gs",
    pytest.param("az", marks=pytest.mark.slow),
    pytest.param("clickhouse", marks=needs_clickhouse),
    "duckdb",
    pytest.param("spark", marks=(needs_spark, pytest.mark.slow, *spark_warnings)),
)
"""The parameters of a test that is to hold on each of them."""


class PairPlace:
    """Name the place of one test; `refresh` takes what has been written since."""

    def __init__(self, kind: str, folder: Path, server: Any = None) -> None:
        self.kind = kind
        self._folder = folder
        self._server = server
        self._name = f"pairs_{uuid4().hex}"

    @property
    def url(self) -> str:
        """Return what a command is given."""
        match self.kind:
            case "clickhouse":
                return f"{self._server.url}/default?table={self._name}"
            case "duckdb":
                return f"duckdb://{self._folder}/warehouse.duckdb?table={self._name}"
            case "spark":
                return f"spark://local?folder={self._into}"
            case _:
                return self._into

    @property
    def _into(self) -> str:
        """Return the folder that is compacted into."""
        if self.kind in STORES:
            return f"{self.kind}://{BUCKET}/{self._name}"
        return str(self._folder / "compacted")

    def refresh(self, pairs: Path) -> None:
        """Bring the place up to date with a folder of pair files."""
        match self.kind:
            case "clickhouse":
                client = self._server.client()
                client.command(f"DROP TABLE IF EXISTS {self._name}")
                fill(client, self._name, pairs)
            case "duckdb":
                _fill_duckdb(self._folder / "warehouse.duckdb", self._name, pairs)
            case _:
                compact(pairs, self._into)


def _fill_duckdb(path: Path, name: str, pairs: Path) -> None:
    """Write the collector's table of a folder into a DuckDB file."""
    held = dict(zip(COLUMNS, map(list, zip(*exported_rows(pairs), strict=True)), strict=True))
    texts = pa.map_(pa.string(), pa.string())
    arrays = {
        key: pa.array(
            [list(each.items()) for each in values] if key.endswith("Attributes") else values,
            texts if key.endswith("Attributes") else None,
        )
        for key, values in held.items()
    }
    arrays["Timestamp"] = arrays["Timestamp"].cast(pa.timestamp("ns"))
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", pa.table(arrays))
        connection.execute(
            f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM rows"  # noqa: S608 - our own
        )


@contextmanager
def pair_place(kind: str, folder: Path) -> Iterator[PairPlace]:
    """Run what the place needs."""
    if kind in STORES:
        with object_store(kind):
            yield PairPlace(kind, folder)
    elif kind == "clickhouse":
        with clickhouse_server() as server, pytest.MonkeyPatch.context() as environment:
            environment.setenv("CLICKHOUSE_USER", USER)
            environment.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
            yield PairPlace(kind, folder, server)
    else:
        yield PairPlace(kind, folder)
