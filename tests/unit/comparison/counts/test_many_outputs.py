"""Many outputs are counted in the statements of one, and each as if it were alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

import comparison.counts.outputs.counts
import comparison.counts.outputs.grids
from comparison.counts.tables import UnitPositives
from comparison.engines.embedded import connect, create_view, materialize, register_table
from comparison.engines.parquet import ParquetPairs
from comparison.engines.tables import TablePairs
from comparison.labels import Labels, load_labels
from load_tests import generated_pairs
from tests.support.counting import aggregate
from tests.support.drawn_pairs import BEGIN, FLAG, drawn_pairs
from tests.support.reference_counts import assert_equal_outputs

OUTPUTS = ("plain", "quiet", "per_cent", "below", "number", "unlabelled")
DECIDING = OUTPUTS[:4]
SIZE = 400


class WritablePairs(TablePairs):
    """A table of a DuckDB of its own, which keeps what is asked about several times."""

    def __init__(self, pairs: pd.DataFrame) -> None:
        self._connection = connect()
        columns = pairs.drop(columns=["user", "place"]).dropna(axis="columns", how="all")
        super().__init__(register_table(self._connection, "pairs", pa.Table.from_pandas(columns)))

    def as_view(self, table: ir.Table) -> ir.Table:
        return create_view(self._connection, table)

    def cached(self, table: ir.Table) -> ir.Table:
        return materialize(self._connection, table)


def pairs(users: int | None) -> pd.DataFrame:
    """Return pairs with outputs of different scores and thresholds, one without any."""
    rng = np.random.default_rng(5)
    frame = drawn_pairs(users=users)
    frame = frame.drop(columns=[name for name in frame.columns if name.endswith(".score")])
    size = len(frame)
    columns: dict[str, Any] = {
        "segment.shop": rng.choice(np.array(["a", "b", None], dtype=object), size),
        "segment.channel": rng.choice(np.array(["web", "phone"], dtype=object), size),
        "candidate_status": rng.choice(["ok", "error"], size, p=[0.95, 0.05]),
    }
    for output in OUTPUTS:
        risk = rng.normal(0, 1, size)
        for side, noise in (("primary", 0.8), ("candidate", 0.4)):
            columns |= side_of(output, side, risk + rng.normal(0, noise, size), rng)
    return frame.assign(**columns)


def side_of(
    output: str, side: str, risk: npt.NDArray[np.float64], rng: np.random.Generator
) -> dict[str, Any]:
    """Return scores, thresholds and decisions of a side; one score in twenty is none."""
    scale = 100.0 if output == "per_cent" else 1.0
    score = np.where(rng.random(len(risk)) < 0.05, np.nan, scale / (1 + np.exp(-risk)))
    found: dict[str, Any] = {f"{side}_score.{output}": score}
    if output == "number":
        return found
    low = 0.2 if output == "quiet" else 0.7
    threshold = scale * np.where(rng.random(len(risk)) < 0.5, low, low + 0.05)
    alarm = score < threshold if output == "below" else score >= threshold
    decision = pd.array(np.where(np.isnan(score), None, alarm), "boolean")
    return found | {f"{side}_threshold.{output}": threshold, f"{side}_decision.{output}": decision}


def labels_of(frame: pd.DataFrame) -> Labels:
    """Label nine of ten requests, for each output but one by itself."""
    rng = np.random.default_rng(6)
    ids = frame["request_id"].drop_duplicates().sample(frac=0.9, random_state=6)
    truths = {
        f"label.{output}": pd.array(
            rng.choice(np.array([True, False, None], dtype=object), len(ids), p=[0.4, 0.5, 0.1]),
            "boolean",
        )
        for output in OUTPUTS
        if output != "unlabelled"
    }
    return Labels.of("labels", pd.DataFrame({"request_id": pd.array(ids, "string"), **truths}))


@pytest.mark.parametrize(
    ("users", "few"), [(300, True), (15, False), (None, True)], ids=["units", "busy", "no units"]
)
def test_each_of_many_outputs_is_counted_as_if_it_were_alone(
    users: int | None, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not few:  # scores are rounded by a sample, and flips chosen by the engine
        monkeypatch.setattr(comparison.counts.outputs.grids, "MOST_SCORES", 50)
        monkeypatch.setattr(comparison.counts.outputs.counts, "FETCHED_FLIPS", 0)
    frame = pairs(users)
    given = {"thresholds": {"plain": {"primary": 0.6, "candidate": 0.65}}}
    window: dict[str, Any] = {"labels": labels_of(frame), "label_cutoff": BEGIN + timedelta(days=3)}
    every = aggregate(WritablePairs(frame), flag=FLAG, **window, **given)
    assert [each.name for each in every.outputs] == list(OUTPUTS)
    for place, name in enumerate(OUTPUTS):
        alone = aggregate(WritablePairs(frame), flag=FLAG, outputs=[name], **window, **given)
        assert_equal_outputs(every.outputs[place], alone.outputs[0])
        assert_equal_positives(every.outputs[place].unit_positives, alone.outputs[0].unit_positives)
    deciding = [each.name for each in every.outputs if each.by_unit is not None]
    assert deciding == [name for name in OUTPUTS if name != "number"]
    quiet = [each.name for each in every.outputs if each.by_unit and each.by_unit.is_quiet]
    assert quiet == ["quiet", "below"]
    assert [each.name for each in every.outputs if each.coverage.empty] == ["unlabelled"]
    assert all(len(each.flips) for each in every.outputs if each.name in DECIDING)


def assert_equal_positives(found: UnitPositives | None, expected: UnitPositives | None) -> None:
    if found is None or expected is None:
        assert found is expected
        return
    pd.testing.assert_frame_equal(found.blocks, expected.blocks)
    pd.testing.assert_frame_equal(found.once, expected.once)
    assert found.design_effect == pytest.approx(expected.design_effect, rel=1e-12)


def test_ten_outputs_take_no_more_statements_than_one(tmp_path: Path) -> None:
    said = {}
    for outputs in (1, 10):
        folder, labels = tmp_path / f"{outputs}", tmp_path / f"{outputs}.parquet"
        generated_pairs.write_pairs(folder, SIZE, labels=labels, outputs=outputs)
        connection, log = connect(), tmp_path / f"{outputs}.sql"
        connection.con.execute(f"SET log_query_path = '{log}'")
        found = aggregate(ParquetPairs(folder, connection), labels=load_labels(labels))
        assert len(found.outputs) == outputs
        said[outputs] = sum("SELECT" in line for line in log.read_text().splitlines())
    assert said[10] == said[1]
