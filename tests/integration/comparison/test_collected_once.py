"""A collector's table: the attributes of a window are read once, into a table that goes again."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pandas as pd
import pytest

from comparison.engines.grouping import booleans_as_integers
from comparison.engines.tables import CollectorTraces
from tests.support.clickhouse import clickhouse, needs_clickhouse
from tests.support.collector_rows import fill
from tests.support.counting import aggregate
from tests.support.gated_pairs import write_gated_pairs
from tests.support.pair_files import BEGIN, FLAG

pytestmark = needs_clickhouse

NOON = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(seconds=5)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = clickhouse()
    fill(found, "collected_once", write_gated_pairs(tmp_path_factory.mktemp("once")).folder)
    yield found
    found.command("DROP TABLE collected_once")


@pytest.fixture
def source(client: Any) -> CollectorTraces:
    return CollectorTraces(ibis.clickhouse.from_connection(client).table("collected_once"))


def statement(source: CollectorTraces, *window: datetime | None) -> str:
    return str(ibis.to_sql(source.table(*window), dialect="clickhouse"))


def rows(source: CollectorTraces, *window: datetime | None) -> pd.DataFrame:
    found = booleans_as_integers(source.table(*window)).to_pyarrow().to_pandas()
    return found.sort_values("span_id", ignore_index=True)


def test_what_is_held_is_what_was_recorded(source: CollectorTraces) -> None:
    windows = [(), (NOON, None), (None, NOON), (NOON - timedelta(seconds=1), NOON)]
    recorded = [rows(source, *window) for window in windows]
    source.prefetch(None, None)
    for window, before in zip(windows, recorded, strict=True):
        assert 0 < len(before) <= 3_000
        assert "SpanAttributes" not in statement(source, *window)
        pd.testing.assert_frame_equal(rows(source, *window), before)


def test_a_window_that_is_not_held_is_read_as_it_was_recorded(source: CollectorTraces) -> None:
    source.prefetch(NOON, None)
    assert "SpanAttributes" not in statement(source, NOON + timedelta(seconds=1), None)
    assert "SpanAttributes" in statement(source)
    assert "SpanAttributes" in statement(source, NOON - timedelta(seconds=1), None)


def test_counting_reads_the_attributes_once(source: CollectorTraces) -> None:
    aggregate(source, flag=FLAG, rollout=10.0)
    assert "SpanAttributes" not in statement(source)


def held_tables(client: Any) -> int:
    return int(client.command("SELECT count() FROM system.tables WHERE name LIKE 'held_%'"))


def test_what_is_held_goes_with_the_source(client: Any, source: CollectorTraces) -> None:
    gc.collect()
    before = held_tables(client)
    own = CollectorTraces(source.traces)
    own.prefetch(None, None)
    assert held_tables(client) == before + 1
    del own
    gc.collect()
    assert held_tables(client) == before
