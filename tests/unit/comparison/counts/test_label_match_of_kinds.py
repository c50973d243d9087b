"""Numbers, classes and rankings whose labels are nearly all alike: counts are those of a join."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest

from comparison.counts.prepared import PreparedPairs
from comparison.counts.tables import Aggregates
from comparison.engines.parquet import ParquetPairs
from comparison.labels import Labels, load_labels
from comparison.pairs.compacted import STATE_FILE, CompactionState
from comparison.pairs.compaction.parts import PartWriter
from tests.support.compacted_folder import some_pairs
from tests.support.counting import aggregate
from tests.support.same_counts import assert_same_counts
from tests.unit.comparison.counts.test_label_match import (
    BEGIN,
    END,
    HOURS,
    joined_by_the_engine,
    many,
)

__all__ = ["many"]

SIZE: Final = 240
WORDS: Final = {"price": ("0", "1"), "species": ("cat", "owl"), "items": ("i1", "i1|i2")}
"""By output, the usual label and another one."""
KINDS: Final = tuple(WORDS)
SEEDS: Final = range(6)


class Window:
    """Pairs of a score and of another kind of answer, and labels of some."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.kind = KINDS[seed % 3]
        self.frame = some_pairs(seed, BEGIN, HOURS, SIZE, 10.0, ["fraud"])
        again = self.random.random(SIZE) < self.random.choice([0.0, 0.1])
        ids = np.array([f"r{number}" for number in range(SIZE)], dtype=object)
        self.frame["request_id"] = np.where(again, np.roll(ids, 1), ids)
        for side in ("primary", "candidate"):
            self.frame = self.frame.assign(**self._answers(side))
        self.folder = path / "compacted"
        self.folder.mkdir()
        for run, half in enumerate(np.array_split(np.arange(SIZE), 2), start=1):
            PartWriter(self.folder, self.folder, run).write(self.frame.iloc[half])
        state = CompactionState(runs=2, outputs=["fraud", "price"])
        (self.folder / STATE_FILE).write_bytes(state.dumps())
        self.cutoff = BEGIN + timedelta(hours=int(self.random.choice([20, HOURS])))
        self.labels = self._labels(path / "labels.csv")

    def _answers(self, side: str) -> dict[str, Any]:
        """Return what a side answered; one answer in twenty cannot be read."""
        items = [self.random.permutation(6)[: self.random.integers(0, 5)] for _ in range(SIZE)]
        found = {
            "price": {f"{side}_score.price": self.random.normal(100, 20, SIZE)},
            "species": {
                f"{side}_class.species": self._or_none(self.random.choice(["cat", "dog"], SIZE)),
                f"{side}_top.species": "|cat|dog|",
            },
            "items": {
                f"{side}_ranking.items": self._or_none(
                    ["|" + "".join(f"i{each}|" for each in ids) for ids in items]
                )
            },
        }
        return found[self.kind]

    def _or_none(self, answers: Any) -> Any:
        return np.where(self.random.random(SIZE) < 0.05, None, np.asarray(answers, dtype=object))

    def _labels(self, path: Path) -> Labels:
        """Label few or nearly all requests, of these nearly all alike."""
        ids = self.frame["request_id"].drop_duplicates()
        ids = ids.sample(frac=float(self.random.choice([0.1, 0.97, 1.0])), random_state=1)
        columns: dict[str, Any] = {"request_id": [*ids, "unknown"]}
        usual, other = WORDS[self.kind]
        shares = [0.95, 0.04, 0.01]
        found = self.random.choice([usual, other, ""], len(ids) + 1, p=shares)
        columns[f"label.{self.kind}"] = found
        if self.random.random() < 0.5:
            columns["label.fraud"] = self.random.choice(["0", "1"], len(ids) + 1, p=[0.97, 0.03])
        pd.DataFrame(columns).to_csv(path, index=False)
        return load_labels(path)

    @property
    def asked(self) -> dict[str, Any]:
        return {"until": END, "labels": self.labels, "label_cutoff": self.cutoff}

    def counted(self) -> Aggregates:
        return aggregate(ParquetPairs(self.folder), **self.asked)


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_of_kinds_are_those_of_a_join(seed: int, tmp_path: Path) -> None:
    window = Window(tmp_path, seed)
    with joined_by_the_engine():
        expected = window.counted()
    aggregate(ParquetPairs(window.folder), until=END)  # kept without labels
    found = window.counted()
    assert [each.name for each in expected.answers] == [window.kind]
    assert_same_counts(found.answers, expected.answers, rtol=1e-9)
    assert found.unknown_labels == expected.unknown_labels
    assert found.repeated_labels == expected.repeated_labels


def test_some_of_these_labels_are_not_joined(tmp_path: Path) -> None:
    """So that both ways do not merely agree on nothing."""
    usual: set[str] = set()
    for seed in SEEDS:
        path = tmp_path / f"{seed}"
        path.mkdir()
        window = Window(path, seed)
        prepared = PreparedPairs.of(ParquetPairs(window.folder), **window.asked)
        assert prepared.labels is not None
        match = prepared.labels.match
        usual.add("none" if match is None else f"{match.are_labelled}")
        if match is not None and match.are_labelled:
            usual.add(window.kind)
    assert usual >= {"True", "False", *KINDS}
