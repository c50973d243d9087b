"""Labels by side that follow from counts by unit are those of all requests."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from comparison.counts import labelled
from comparison.counts.drawn_pairs import DrawnPairs
from comparison.counts.drawn_units import DrawnUnits
from comparison.counts.labelled_sides import LabelledSides
from comparison.counts.prepared import PreparedPairs
from comparison.counts.unit_failures import UNITS
from comparison.engines.parquet import ParquetPairs
from comparison.labels import Labels
from comparison.pairs.compacted import STATE_FILE, CompactionState
from comparison.pairs.compaction_parts import PartWriter
from tests.support.drawn_pairs import BEGIN, FLAG, drawn_pairs

END = BEGIN + timedelta(hours=121)


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred pairs are many."""
    monkeypatch.setattr(labelled, "FEW", 0)


def as_drawn(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs


def with_failures(pairs: pd.DataFrame) -> pd.DataFrame:
    status = np.where(np.arange(len(pairs)) % 9, "ok", "error")
    return pairs.assign(candidate_status=status, primary_status=np.roll(status, 1))


def at_random(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.assign(stickiness="random")


def without_a_unit(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.assign(unit=pairs["unit"].where(pairs.index != 7))


def sent_again(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.assign(request_id=pairs["request_id"].where(pairs.index != 7, "r300"))


class Window:
    """Pairs of a compacted folder, and a label of each request but for those that lack one."""

    def __init__(self, path: Path, pairs: pd.DataFrame, seed: int, lacking: int) -> None:
        self.folder = path / "compacted"
        self.folder.mkdir()
        rows = pairs.drop(columns=["user", "place"]).assign(
            time=pd.to_datetime(pairs["time"], utc=True), worker="w", sequence=pairs.index + 1
        )
        PartWriter(self.folder, self.folder, 1).write(rows)
        state = CompactionState(runs=1, outputs=["score"])
        (self.folder / STATE_FILE).write_bytes(state.dumps())
        ids = pairs["request_id"].drop_duplicates().iloc[lacking:]
        truths = np.random.default_rng(seed).random(len(ids)) < 0.1
        frame = {"request_id": pd.array(ids, "string"), "label": pd.array(truths, "boolean")}
        self.labels = Labels.of("labels", pd.DataFrame(frame))

    def sides(self, hours: int) -> tuple[bool, pd.DataFrame, Any]:
        """Return whether they are added up, coverage, and counts of requests before a time."""
        before = BEGIN + timedelta(hours=hours)
        prepared = PreparedPairs.of(
            ParquetPairs(self.folder), until=END, labels=self.labels, label_cutoff=before
        )
        source, held = prepared.window.source, prepared.drawn(FLAG, None, END)
        sides = LabelledSides.of(DrawnPairs.of(source, FLAG, None, END, held), self.labels, before)
        table = sides.coverage().sort_values(["candidate", "labelled"], ignore_index=True)
        return sides.by_unit is not None, table, sides.count(table)


@pytest.mark.parametrize(
    ("change", "hours", "lacking", "is_added_up"),
    [
        (as_drawn, 121, 0, True),
        (as_drawn, 500, 0, True),
        (as_drawn, 60, 0, False),
        (as_drawn, 121, 9, True),
        (with_failures, 121, 0, True),
        (at_random, 121, 0, False),
        (without_a_unit, 121, 0, False),
        (sent_again, 121, 0, False),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_labels_by_side_are_those_of_all_requests(
    seed: int,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    hours: int,
    lacking: int,
    is_added_up: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = Window(tmp_path, change(drawn_pairs(seed=seed)), seed, lacking)
    found = window.sides(hours)
    monkeypatch.setattr(DrawnUnits, "counts", UNITS)
    expected = window.sides(hours)
    assert (found[0], expected[0]) == (is_added_up, False)
    pd.testing.assert_frame_equal(found[1], expected[1])
    for each in ("cells", "novelty"):
        one, other = (getattr(counts[2], each) for counts in (found, expected))
        columns = list(one.columns)
        pd.testing.assert_frame_equal(
            *(frame.sort_values(columns, ignore_index=True) for frame in (one, other))
        )
    assert found[2].units == expected[2].units > 0
    assert (found[2].used, found[2].mixed) == (expected[2].used, expected[2].mixed)
