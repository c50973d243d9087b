"""Labels that are matched by hashes, and counted by what is left over, are those of a join."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ibis import _

from comparison.counts.aggregate import count
from comparison.counts.drawn import requests
from comparison.counts.drawn.pairs import DrawnPairs
from comparison.counts.labels import joined, matching, sides
from comparison.counts.labels.matching import LabelMatch
from comparison.counts.labels.sides import LabelledSides
from comparison.counts.prepared import PreparedPairs
from comparison.counts.tables import Aggregates
from comparison.engines import id_hashes
from comparison.engines.embedded import connect, register_table
from comparison.engines.id_hashes import IdHashes
from comparison.engines.parquet import ParquetPairs
from comparison.engines.tables import TablePairs
from comparison.errors import LabelsUnreadableError
from comparison.labels import LabelFiles, Labels
from comparison.labels.in_place import LabelsInPlace
from comparison.labels.unread import UnreadLabels
from comparison.pairs.compacted import STATE_FILE, CompactionState
from comparison.pairs.compaction.parts import PartWriter
from tests.support.compacted_folder import OUTPUTS, some_pairs
from tests.support.counting import aggregate
from tests.support.reference_counts import assert_equal

BEGIN: Final = datetime(2026, 3, 2, 7, 20, tzinfo=UTC)
HOURS: Final = 48
END: Final = BEGIN + timedelta(hours=HOURS)


@contextmanager
def joined_by_the_engine() -> Iterator[None]:
    """Let the engine join all labels, and count all pairs with them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (joined, requests):
            patch.setattr(module, "can_hash", lambda _table: False)
        patch.setattr(ParquetPairs, "keeps_counts", property(lambda _self: False))
        yield


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred pairs are many."""
    monkeypatch.setattr(joined, "MIN_MATCHED_PAIRS", 0)


class Window:
    """Pairs of random kinds, and labels of some."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.frame = self._pairs(int(self.random.integers(100, 400)), seed)
        self.folder = path / "compacted"
        self.folder.mkdir()
        for run, half in enumerate(np.array_split(np.arange(len(self.frame)), 2), start=1):
            PartWriter(self.folder, self.folder, run).write(self.frame.iloc[half])
        state = CompactionState(runs=2, outputs=list(OUTPUTS))
        (self.folder / STATE_FILE).write_bytes(state.dumps())
        self.cutoff = BEGIN + timedelta(hours=int(self.random.choice([0, 30, HOURS])))
        self.labels = self._labels()

    def _pairs(self, size: int, seed: int) -> pd.DataFrame:
        frame = some_pairs(seed, BEGIN, HOURS, size, 10.0)
        frame["request_id"] = [f"r{number}" for number in range(size)]
        again = self.random.random(size) < self.random.choice([0.0, 0.1])
        source = self.random.integers(0, size, size)
        ids = frame["request_id"].to_numpy(dtype=object)
        frame["request_id"] = np.where(again, ids[source], ids)
        without = self.random.random(size) < self.random.choice([0.0, 0.05])
        frame.loc[without, "request_id"] = None
        if seed % 3 == 0:
            frame["unit"] = None
            frame["stickiness"] = "requestId"
        return frame

    def _labels(self) -> Labels:
        ids = self.frame["request_id"].dropna().drop_duplicates()
        ids = ids.sample(frac=float(self.random.choice([0.02, 0.4, 0.97, 1.0])), random_state=1)
        ids = [*ids, *(f"unknown-{n}" for n in range(self.random.integers(0, 4)))]
        columns = {}
        for output in OUTPUTS[: self.random.integers(1, 3)]:
            positive = float(self.random.choice([0.0, 0.02, 0.02, 0.6]))
            missing = float(self.random.choice([0.0, 0.0, 0.1]))
            shares = [positive * (1 - missing), (1 - positive) * (1 - missing), missing]
            found = self.random.choice(np.array([True, False, None]), len(ids), p=shares)
            columns[f"label.{output}"] = pd.array(found, "boolean")
        frame = pd.DataFrame({"request_id": pd.array(ids, "string"), **columns})
        known = frame[list(columns)].notna().any(axis=1)
        return Labels.of("labels", frame.loc[known].reset_index(drop=True))

    def keep(self) -> None:
        """Count the pairs without labels."""
        aggregate(ParquetPairs(self.folder), until=END)

    def prepared(self) -> PreparedPairs:
        return PreparedPairs.of(
            ParquetPairs(self.folder), until=END, labels=self.labels, label_cutoff=self.cutoff
        )

    def counted(self) -> Aggregates:
        return aggregate(
            ParquetPairs(self.folder), until=END, labels=self.labels, label_cutoff=self.cutoff
        )

    def sides(self) -> tuple[pd.DataFrame, Any]:
        prepared = self.prepared()
        source = prepared.window.source
        drawn = DrawnPairs.of(source, "flag", None, END, prepared.drawn("flag", None, END))
        sides = LabelledSides.of(drawn, self.labels, self.cutoff)
        table = sides.coverage().sort_values(["candidate", "labelled"], ignore_index=True)
        return table, sides.count(table)


def test_pairs_that_no_engine_has_yet_are_counted_as_those_of_a_folder(tmp_path: Path) -> None:
    window = Window(tmp_path, seed=1)
    pairs = ibis.memtable(ParquetPairs(window.folder).table().to_pyarrow())
    given: dict[str, Any] = {"until": END, "labels": window.labels, "label_cutoff": window.cutoff}
    assert_equal(aggregate(TablePairs(pairs), **given), window.counted())


@pytest.mark.parametrize("seed", range(12))
def test_counts_are_those_of_a_join(seed: int, tmp_path: Path) -> None:
    window = Window(tmp_path, seed)
    with joined_by_the_engine():
        expected = window.counted()
    first = window.counted()
    shutil.rmtree(window.folder / "kept")
    window.keep()
    again = window.counted()
    assert_equal(first, expected)
    assert_equal(again, expected)


@pytest.mark.parametrize("seed", range(12))
def test_labels_by_the_assigned_side_are_those_of_a_join(seed: int, tmp_path: Path) -> None:
    window = Window(tmp_path, seed)
    if seed % 2:
        window.keep()
    coverage, found = window.sides()
    with joined_by_the_engine():
        wanted, expected = window.sides()
    pd.testing.assert_frame_equal(coverage, wanted)
    pd.testing.assert_frame_equal(found.cells, expected.cells)
    pd.testing.assert_frame_equal(found.novelty, expected.novelty)
    assert (found.used, found.units, found.mixed) == (expected.used, expected.units, expected.mixed)


@pytest.mark.parametrize("seed", range(12))
def test_units_that_are_grouped_a_part_at_a_time_are_those_of_one_pass(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(tmp_path, seed)
    _coverage, expected = window.sides()
    monkeypatch.setattr(sides, "_MOST_AT_ONCE", len(window.frame) // 3)
    _coverage, found = window.sides()
    pd.testing.assert_frame_equal(found.cells, expected.cells)
    pd.testing.assert_frame_equal(found.novelty, expected.novelty)
    assert (found.units, found.mixed) == (expected.units, expected.mixed)


def test_some_of_these_windows_spare_the_join(tmp_path: Path) -> None:
    """So that both ways do not merely agree on nothing."""
    usual: list[str] = []
    for seed in range(12):
        path = tmp_path / f"{seed}"
        path.mkdir()
        prepared = Window(path, seed).prepared()
        assert prepared.labels is not None
        match = prepared.labels.match
        usual.append("none" if match is None else f"{match.are_labelled}")
    assert min(usual.count(each) for each in ("none", "True", "False")) >= 1


@pytest.mark.parametrize("name", ["labels.parquet", "labels.csv"])
@pytest.mark.parametrize("seed", range(12))
def test_labels_in_a_file_are_no_longer_held_once_they_are_matched(
    seed: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comparison.labels.facts.TIME_RESOLUTION", -1)  # written long ago
    window = Window(tmp_path, seed)
    expected, (coverage, sides) = window.counted(), window.sides()
    shutil.rmtree(window.folder / "kept")
    path, frame = tmp_path / name, window.labels.frame
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    window.labels = LabelFiles(path).read()
    prepared = window.prepared()
    assert_equal(count(prepared), expected)
    assert prepared.labels is not None
    unread = window.labels._source
    assert isinstance(unread, UnreadLabels)
    if path.suffix == ".csv":
        assert (unread.labels is None) == (prepared.labels.match is not None)
    else:
        assert isinstance(unread.labels, LabelsInPlace)
        assert (unread.labels.hashes is None) == (prepared.labels.match is not None)
    table, found = window.sides()
    pd.testing.assert_frame_equal(table, coverage)
    pd.testing.assert_frame_equal(found.cells, sides.cells)
    path.with_name("other").write_bytes(path.read_bytes()[:-2])
    if prepared.labels.match is not None:
        path.with_name("other").replace(path)
        with pytest.raises(LabelsUnreadableError):
            _ = window.labels.rows if path.suffix == ".csv" else window.labels.verify()


def alike(column: str) -> dict[str, Any]:
    """Let c and x have the same hash."""
    hashes = REAL(column)
    of_both = _[column].isin(["c", "x"])
    return hashes | {"hash": ibis.ifelse(of_both, ibis.literal(7, "uint64"), hashes["hash"])}


REAL: Final = id_hashes.hash_columns


@pytest.mark.parametrize("is_alike", [False, True])
def test_ids_that_share_a_hash_are_left_to_the_engine(
    is_alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_alike:
        for module in (matching, id_hashes):
            monkeypatch.setattr(module, "hash_columns", alike)
    engine = connect()
    there = register_table(engine, "there", pa.table({"request_id": ["a", "b", "c"]}))
    rows = {"label_request_id": ["a", "b", "x"], "given.label": [False, False, False]}
    labels = register_table(engine, "known", pa.table(rows))
    known, given = (IdHashes.of(engine, table, table.columns[0]) for table in (there, labels))
    match = LabelMatch.of(there, known, labels, given)
    if is_alike:
        assert match is None
        return
    assert match is not None
    assert match.unlabelled["label_request_id"].to_pylist() == ["c"]
    assert match.unmatched["label_request_id"].to_pylist() == ["x"]


def hashes_of(values: np.ndarray[Any, Any], batch: int) -> IdHashes:
    table = pa.table({"hash": values, "check": values})
    return IdHashes.read(table.to_reader(batch))


@pytest.mark.parametrize("in_memory", [10**6, 16])
def test_hashes_that_others_have_not(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are in memory or in a file, and wherever in the ranges."""
    monkeypatch.setattr(id_hashes, "_MAX_IN_MEMORY_BYTES", in_memory)
    random = np.random.default_rng(1)
    every = random.integers(0, 2**64, 40, np.uint64)
    for number in range(30):
        one, other = (random.choice(every, random.integers(0, 30)) for _ in range(2))
        known = hashes_of(one, 1 + number)
        here, there = known.difference(hashes_of(other, 7))
        assert here.tolist() == np.setdiff1d(one, other).tolist()
        assert there.tolist() == np.setdiff1d(other, one).tolist()
        values, times = np.unique(one, return_counts=True)
        assert known.repeated.tolist() == values[times > 1].tolist()
        assert (known.size, known.check) == (len(one), sum(one.tolist()) % 2**64)
