"""A million pairs counted by DuckDB, Polars, ClickHouse and Spark: every count is the same.

`make engines` runs it with all of them.
"""

from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from comparison.counts.tables import Aggregates
from comparison.engines.embedded import connect
from comparison.engines.parquet import ParquetPairs
from comparison.engines.sources import PairSource, open_source
from comparison.engines.tables import CollectorTraces, TablePairs
from comparison.labels import Labels, load_labels
from load_tests import collector_table
from load_tests.generated_pairs import BEGIN, FLAG, OUTPUT, write_pairs
from tests.support.clickhouse import clickhouse, needs_clickhouse
from tests.support.counting import aggregate
from tests.support.reference_counts import assert_equal
from tests.support.spark import needs_spark, spark_warnings

PAIRS = 1_000_000
WINDOW: dict[str, Any] = {
    "flag": FLAG,
    "rollout": 10.0,
    "since": BEGIN + timedelta(days=1),
    "until": BEGIN + timedelta(days=7, hours=5),
    "label_cutoff": BEGIN + timedelta(days=6),
    "feature_edges": {"amount": [1.0, 5.0, 20.0, 100.0], "transactions_7d": [1.0, 2.0, 4.0]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the pairs and a label for each."""
    folder = tmp_path_factory.mktemp("million")
    write_pairs(folder / "compacted", PAIRS, labels=folder / "labels.parquet")
    return folder


@pytest.fixture(scope="module")
def counted(folder: Path) -> Aggregates:
    """Return the counts of the engine that the gate uses."""
    labels = load_labels(folder / "labels.parquet")
    return aggregate(ParquetPairs(folder / "compacted"), labels=labels, **WINDOW)


class EngineLabels(Labels):
    """Take labels from a table of the engine that holds the pairs."""

    def __init__(self, labels: Labels, table: ir.Table) -> None:
        super().__init__(labels.name, labels._source)
        self._table = table

    def table(self) -> ir.Table:
        return self._table.select(label_request_id="request_id", label="label")


def in_duckdb(folder: Path) -> tuple[PairSource, Any]:
    connection = connect()
    files = str(folder / "compacted" / "pairs" / "**" / "*.parquet")
    table = connection.read_parquet(files, hive_partitioning=True, union_by_name=True)
    return TablePairs(table, "million"), load_labels(folder / "labels.parquet")


def in_polars(folder: Path) -> tuple[PairSource, Any]:
    import polars

    frame = polars.scan_parquet(
        folder / "compacted" / "pairs" / "**" / "*.parquet", hive_partitioning=True
    ).collect()
    table = ibis.polars.connect().create_table("pairs", frame)
    return TablePairs(table, "million"), load_labels(folder / "labels.parquet")


def view(client: Any, name: str, files: Path) -> ir.Table:
    """Show files to ClickHouse as a table."""
    client.command(
        f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM file('{files}', Parquet) "  # noqa: S608 - our own
        "SETTINGS use_hive_partitioning = 1, schema_inference_mode = 'union'"
    )
    return ibis.clickhouse.from_connection(client).table(name)


def in_clickhouse(folder: Path) -> tuple[PairSource, Any]:
    client = clickhouse()
    labels = load_labels(folder / "labels.parquet")
    labels = EngineLabels(labels, view(client, "million_labels", folder / "labels.parquet"))
    files = folder / "compacted" / "pairs" / "flag=*" / "date=*" / "*.parquet"
    return TablePairs(view(client, "million", files)), labels


def in_a_collectors_table(folder: Path) -> tuple[PairSource, Any]:
    client = clickhouse()
    labels = load_labels(folder / "labels.parquet")
    labels = EngineLabels(labels, view(client, "million_labels", folder / "labels.parquet"))
    collector_table.create(client)
    collector_table.fill_from_parquet(client, folder / "compacted", FLAG)
    table = ibis.clickhouse.from_connection(client).table(collector_table.TABLE)
    return CollectorTraces(table), labels


def in_spark(folder: Path) -> tuple[PairSource, Any]:
    source = open_source(f"spark://local?folder={folder / 'compacted'}")
    return source, load_labels(folder / "labels.parquet")


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(in_duckdb, id="DuckDB"),
        pytest.param(
            in_polars,
            id="Polars",
            marks=pytest.mark.skipif(
                find_spec("polars") is None, reason="no Polars: pip install polars"
            ),
        ),
        pytest.param(in_clickhouse, id="ClickHouse", marks=needs_clickhouse),
        pytest.param(in_a_collectors_table, id="collector", marks=needs_clickhouse),
        pytest.param(in_spark, id="Spark", marks=(needs_spark, *spark_warnings)),
    ],
)
def test_an_engine_gives_the_counts_that_the_gate_takes(
    folder: Path, counted: Aggregates, engine: Callable[[Path], tuple[PairSource, Any]]
) -> None:
    source, labels = engine(folder)
    found = aggregate(source, labels=labels, **WINDOW)
    assert_equal(found, counted)


@pytest.mark.slow
def test_the_counts_are_those_of_a_million_pairs(counted: Aggregates) -> None:
    """So that engines do not merely agree on nothing."""
    [output] = counted.outputs
    assert output.name == OUTPUT
    days = 6 + 5 / 24
    assert counted.pairs["n"].sum() == pytest.approx(PAIRS / 8 * days, abs=2)
    assert output.joint["n"].sum() > 0.99 * counted.pairs["n"].sum()
    assert output.joint["label"].sum() > 1_000
    assert output.joint["label"].isna().any()
    assert len(output.segments["segment"].unique()) == 2
    assert output.flips["candidate_alarm"].value_counts().to_dict() == {True: 50, False: 50}
    assert set(counted.features["feature"]) == {"amount", "transactions_7d"}
    assert (
        counted.workers["n"].tolist()
        == (counted.workers["last"] - counted.workers["first"] + 1).tolist()
    )
