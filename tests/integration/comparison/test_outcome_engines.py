"""Outcomes counted by DuckDB and by ClickHouse, from tables of the engine."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comparison.counts.drawn.outcome_cells import OutcomeCounts
from comparison.counts.drawn.outcomes import count_outcomes
from comparison.counts.drawn.pairs import DrawnPairs, RolloutRun
from comparison.engines.embedded import connect
from comparison.engines.tables import TablePairs, nanoseconds
from comparison.outcomes import load_outcomes
from flags.playbook.outcomes import OutcomePlan
from tests.support.clickhouse import clickhouse, needs_clickhouse
from tests.support.drawn_pairs import BEGIN, FLAG, drawn_pairs

NOW = BEGIN + timedelta(hours=120)
HOUR = 3_600 * 10**9
RUNS = (
    RolloutRun(1.0, nanoseconds(BEGIN), nanoseconds(BEGIN + timedelta(hours=24))),
    RolloutRun(10.0, nanoseconds(BEGIN + timedelta(hours=24)), nanoseconds(BEGIN) + 48 * HOUR),
    RolloutRun(50.0, nanoseconds(BEGIN + timedelta(hours=48)), None),
)
PLANS = {
    name: OutcomePlan.model_validate({**plan, "cut_off": "12h", "cap": 3})
    for name, plan in (
        ("count by unit", {"kind": "count", "by": "unit"}),
        ("continuous by request", {"kind": "continuous", "by": "request"}),
    )
}


@dataclass(frozen=True)
class EngineRows:
    """Take outcomes from a table of the engine that holds the pairs."""

    rows: ir.Table

    def table(self) -> ir.Table:
        return self.rows.select("outcome_id", "outcome_unit", "value", "occurred")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold pairs while the rollout goes up, and outcomes of a third of them, as Parquet."""
    folder = tmp_path_factory.mktemp("engines")
    pairs = drawn_pairs(seed=3)
    rng = np.random.default_rng(3)
    chosen = pairs.loc[rng.random(len(pairs)) < 0.3]
    late = (rng.uniform(-1, 16, len(chosen)) * HOUR).astype(np.int64)
    named = rng.random(len(chosen)) < 0.7
    outcomes = pd.DataFrame(
        {
            "outcome_id": pd.Series(chosen["request_id"].to_numpy(), dtype="string").where(named),
            "outcome_unit": pd.Series(chosen["unit"].to_numpy(), dtype="string").where(~named),
            "value": rng.choice([0.5, 1.0, 2.5], len(chosen)),
            "occurred": chosen["time"].to_numpy() + late,
        }
    )
    held = pairs.drop(columns=["user", "place"])
    pq.write_table(pa.Table.from_pandas(held, preserve_index=False), folder / "pairs.parquet")
    pq.write_table(pa.Table.from_pandas(outcomes, preserve_index=False), folder / "out.parquet")
    return folder


def counted(pairs: ir.Table, rows: ir.Table, plan: OutcomePlan) -> OutcomeCounts:
    drawn = DrawnPairs.of(TablePairs(pairs, "pairs"), FLAG, None, NOW)
    assert plan.cap_in_force is not None
    given: Any = EngineRows(rows)
    return count_outcomes(drawn, given, plan, plan.cap_in_force, RUNS)


@needs_clickhouse
def test_click_house_gives_the_counts_of_duck_db(folder: Path) -> None:
    client = clickhouse()
    for name, file in (("drawn", "pairs"), ("drawn_outcomes", "out")):
        path = folder / f"{file}.parquet"
        client.command(f"CREATE VIEW {name} AS SELECT * FROM file('{path}', Parquet)")  # noqa: S608 - our own
    theirs = ibis.clickhouse.from_connection(client)
    ours = connect()
    here = [ours.read_parquet(str(folder / f"{name}.parquet")) for name in ("pairs", "out")]
    for name, plan in PLANS.items():
        first = counted(here[0], here[1], plan)
        second = counted(theirs.table("drawn"), theirs.table("drawn_outcomes"), plan)
        pd.testing.assert_frame_equal(first.cells, second.cells, obj=name)
        for figure in (
            "used",
            "without_pair",
            "outside_period",
            "young_requests",
            "units",
            "mixed",
        ):
            assert getattr(first, figure) == getattr(second, figure), (name, figure)
        assert len(first.cells) > 10


@needs_clickhouse
def test_a_table_of_click_house_is_read_as_a_file_is(tmp_path: Path) -> None:
    client = clickhouse()
    client.command(
        "CREATE VIEW complaints AS SELECT 'r1' AS request_id, toUUID("
        "'6f1c0a52-9d1e-4b3f-8f65-0a4f3c2f9d10') AS unit, 'complaint' AS metric, true AS value, "
        "toDateTime64('2026-03-02 12:00:00.5', 6, 'Europe/Berlin') AS occurred_at"
    )
    table = ibis.clickhouse.from_connection(client).table("complaints")
    file = tmp_path / "complaints.csv"
    file.write_text(
        "request_id,unit,metric,value,occurred_at\nr1,6f1c0a52-9d1e-4b3f-8f65-0a4f3c2f9d10,"
        "complaint,1,2026-03-02T12:00:00.5+01:00\n"
    )
    pd.testing.assert_frame_equal(load_outcomes(table).frame, load_outcomes(file).frame)
