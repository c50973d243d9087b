"""Pairs as data sets of other programs, as docs/how-to/mlflow.md shows it in two lines."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow.dataset import dataset, field

from comparison import load_pairs
from comparison.pairs.compaction import compact
from tests.support.gated_pairs import PAIRS, write_gated_pairs


def test_pairs_are_an_arrow_table(tmp_path: Path) -> None:
    folder = write_gated_pairs(tmp_path).folder
    pairs = pa.Table.from_pandas(load_pairs(folder))
    assert pairs.num_rows == PAIRS
    assert pairs.schema.field("candidate_score").type == pa.float64()
    assert pc.sum(pairs["primary_decision"].cast(pa.int64())).as_py() == PAIRS / 10


def test_a_compacted_folder_is_an_arrow_data_set(tmp_path: Path) -> None:
    compact(write_gated_pairs(tmp_path).folder, tmp_path / "compacted")
    data = dataset(tmp_path / "compacted" / "pairs", partitioning="hive")
    assert data.count_rows() == PAIRS
    assert data.filter(field("rollout") == 10).count_rows() == PAIRS * 5 / 6
    assert data.head(1)["flag"][0].as_py() == "fraud-detector-v2"


def test_both_sides_are_data_sets_of_evidently(tmp_path: Path) -> None:
    evidently = pytest.importorskip("evidently", reason="no evidently: it wants an older pandas")
    presets = pytest.importorskip("evidently.presets")
    frame = load_pairs(write_gated_pairs(tmp_path).folder)
    primary, candidate = (
        evidently.Dataset.from_pandas(frame[[f"{side}_score"]].set_axis(["score"], axis=1))
        for side in ("primary", "candidate")
    )
    report = evidently.Report([presets.DataDriftPreset()]).run(candidate, primary)
    assert report.dict()["metrics"]
