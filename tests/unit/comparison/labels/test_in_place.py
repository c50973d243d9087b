"""Labels that stay in their Parquet files equal labels in memory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comparison.engines.embedded import connect
from comparison.engines.kept.tables import KeptTables
from comparison.errors import LabelsUnreadableError
from comparison.labels import LabelFiles, Labels, load_labels
from comparison.labels.in_place import LabelsInPlace
from comparison.labels.unread import UnreadLabels

TIMES = pd.date_range("2026-03-02", periods=200, freq="h", tz="UTC")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written in a test count as old enough, so that a later change is noticed."""
    monkeypatch.setattr("comparison.labels.facts.TIME_RESOLUTION", -1)


def is_in_place(labels: Labels) -> bool:
    source = labels._source
    return isinstance(source, UnreadLabels) and isinstance(source.read(), LabelsInPlace)


def of_seed(seed: int, *, again: float, timed: bool) -> pd.DataFrame:
    """Return labels of two outputs, some not known yet; requests may have several rows."""
    random = np.random.default_rng(seed)
    truths = np.array([True, False, None], dtype=object)
    size = 200
    numbers = np.arange(size) if not again else random.integers(0, int(size / again), size)
    rows = {"request_id": [f"r{number}" for number in numbers]}
    rows |= {f"label.{name}": random.choice(truths, size, p=[0.1, 0.7, 0.2]) for name in "ab"}
    frame = pd.DataFrame(rows | ({"labelled_at": random.permutation(TIMES)} if timed else {}))
    return frame.astype({"label.a": "boolean", "label.b": "boolean"})


def in_files(folder: Path, rows: pd.DataFrame, kind: str) -> Path:
    """Write rows to two files; the second one lacks an output."""
    folder.mkdir()
    half = len(rows) // 2
    parts = rows.iloc[:half], rows.iloc[half:].drop(columns="label.b")
    for place, part in enumerate(parts):
        path = folder / f"{place} o'clock.{kind}"
        part.to_csv(path, index=False) if kind == "csv" else part.to_parquet(path, index=False)
    return folder


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("request_id", ignore_index=True)


@pytest.mark.parametrize("again", [0.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_the_same_rows_in_csv(seed: int, again: float, tmp_path: Path) -> None:
    rows = of_seed(seed, again=again, timed=True)
    placed = LabelFiles(in_files(tmp_path / "parquet", rows, "parquet")).read()
    read = load_labels(in_files(tmp_path / "csv", rows, "csv"))
    assert is_in_place(placed)
    pd.testing.assert_frame_equal(ordered(placed.frame), ordered(read.frame))
    facts, expected = placed.facts, read.facts
    assert facts.schema == expected.schema
    assert (facts.size, facts.contradicted) == (expected.size, expected.contradicted)
    assert (facts.contradicted > 0) == (again > 0)
    engine = connect()
    shown = engine.to_pyarrow(placed.shown(engine)).to_pandas()
    assert sorted(shown["label_request_id"]) == sorted(read.frame["request_id"])
    kept = KeptTables(tmp_path / "kept")
    assert placed.digest(kept) == read.digest(kept)


def test_the_order_of_rows_makes_no_other_labels(tmp_path: Path) -> None:
    rows, kept = of_seed(1, again=0, timed=False), KeptTables(tmp_path / "kept")
    one, other = (
        LabelFiles(in_files(tmp_path / name, each, "parquet")).read().digest(kept)
        for name, each in (("one", rows), ("other", rows.assign(**{"label.b": None})))
    )
    assert one != other
    path = tmp_path / "rows.parquet"
    digests = set()
    for each in (rows, rows.iloc[::-1]):
        each.to_parquet(path, index=False)
        digests.add(LabelFiles(path).read().digest(kept))
    assert len(digests) == 1


def contradiction(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[:1].assign(label=True)], ignore_index=True)


def no_id(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(request_id=["r0", "", "r2"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (contradiction, r"labels\.parquet, row 4, column label: 'r0' has another label in row 1"),
        (no_id, r"labels\.parquet, row 2, column request_id: '': no request id"),
    ],
)
def test_what_is_wrong_names_the_row(
    wrong: Callable[[pd.DataFrame], pd.DataFrame], said: str, tmp_path: Path
) -> None:
    rows = pd.DataFrame({"request_id": ["r0", "r1", "r2"], "label": [False, False, True]})
    path = tmp_path / "labels.parquet"
    wrong(rows).to_parquet(path)
    with pytest.raises(LabelsUnreadableError, match=said):
        _ = LabelFiles(path).read().facts


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"request_id": [1, 2], "label": [True, False]}),
        pd.DataFrame({"request_id": ["1", "2"], "label": ["yes", "no"]}),
        pd.DataFrame({"request_id": ["1", "2"], "label": [0.5, 1.5]}),
        pd.DataFrame({"request_id": ["1", "2"], "Label": [True, False], "label": [False, True]}),
    ],
)
def test_what_is_not_fit_is_read_into_memory(rows: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    rows.to_parquet(path)
    labels = LabelFiles(path).read()
    assert not is_in_place(labels)
    assert len(labels.frame) == len(rows)


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    rows = of_seed(1, again=0, timed=False)
    path = tmp_path / "labels.parquet"
    rows.to_parquet(path)
    labels = LabelFiles(path).read()
    assert is_in_place(labels)
    labels.verify()
    rows.iloc[::-1].to_parquet(path)
    labels.verify()  # the same ones
    rows.iloc[1:].to_parquet(path)
    with pytest.raises(LabelsUnreadableError, match="changed while the pairs were counted"):
        labels.verify()
