"""Kept counts, added up, equal the counts of one pass over all pairs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pytest

from comparison.counts.labels.joined import StepLabels
from comparison.engines.parquet import ParquetPairs
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, take_evidence
from comparison.judgement.keeping import keep_counts
from comparison.labels import Labels
from flags.gate.evidence import Evidence
from flags.playbook.model import Playbook
from tests.support.compacted_folder import CompactedFolder

BEGIN: Final = datetime(2026, 3, 2, 7, 20, tzinfo=UTC)


class Folder(CompactedFolder):
    """A folder with pairs and kept counts."""

    def look(
        self,
        now: datetime,
        source: ParquetPairs | None = None,
        labels: Labels | None = None,
        label_delay: timedelta = timedelta(0),
    ) -> Evidence:
        return take_evidence(
            FlagPairs("flag", source or ParquetPairs(self.path)),
            now=now,
            window=TimeWindow(carries=True),
            additions=Additions(labels),
            label_delay=label_delay,
            warm_up=Playbook(flag="flag").warm_up,
        )


def test_a_look_after_compaction_counts_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 30, 300, 10.0)
    kept = keep_counts(folder.path)
    assert kept is not None
    assert kept.tables
    source = ParquetPairs(folder.path)
    folder.look(BEGIN + timedelta(hours=76), source)
    assert source._counts.counted == 0


def test_a_look_at_new_pairs_counts_no_others_where_some_have_an_impossible_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 30, 300, 10.0)
    folder.runs = 0  # the same numbers of the same worker, days later
    folder.add(BEGIN + timedelta(hours=50), 1, 20, 10.0)
    folder.add(datetime(1970, 1, 1, tzinfo=UTC), 1, 5, 10.0)
    folder.add(BEGIN + timedelta(days=2_000), 1, 5, 10.0)
    now, counted = BEGIN + timedelta(hours=76), []
    for minutes in (0, 5):
        folder.add(BEGIN + timedelta(hours=31), 1, 60, 10.0)
        source = ParquetPairs(folder.path)
        found = folder.look(now + timedelta(minutes=minutes), source)
        counted.append(source._counts.counted)
        with monkeypatch.context() as patch:
            patch.setattr(ParquetPairs, "keeps_counts", property(lambda _self: False))
            assert found == folder.look(now + timedelta(minutes=minutes))
        assert (
            found.window.impossible_times >= 30
        )  # and those of the first run that come after them
    files = len(list((folder.path / "pairs").rglob("*.parquet")))
    assert counted[1] * files // 2 < counted[0]


def labels_of(runs: int, share: float) -> Labels:
    """Return labels of a share of the requests of the first runs, and of one without a pair."""
    random = np.random.default_rng(runs)
    ids = [f"r{run}-{number}" for run in range(1, runs + 1) for number in range(200)]
    chosen = [each for each in ids if random.random() < share]
    return Labels.of(
        "labels.csv",
        pd.DataFrame(
            {
                "request_id": [*chosen, "unknown"],
                "label.fraud": pd.array(random.random(len(chosen) + 1) < 0.3, "boolean"),
            }
        ),
    )


def test_a_second_look_with_the_same_labels_joins_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, labels = Folder(tmp_path / "compacted"), labels_of(1, 0.5)
    folder.add(BEGIN, 30, 300, 10.0)
    now, delay = BEGIN + timedelta(hours=76), timedelta(hours=50)
    first = folder.look(now, labels=labels, label_delay=delay)
    with monkeypatch.context() as patch:
        patch.setattr(StepLabels, "joined", None)
        later = folder.look(now + timedelta(minutes=9), labels=labels, label_delay=delay)
        assert later.outputs == first.outputs
        with pytest.raises(TypeError):  # a pair has grown old enough for its label
            folder.look(now + timedelta(hours=1), labels=labels, label_delay=delay)
    assert first.outputs[0].quality is not None


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_looks_with_labels_that_come_late_find_what_one_pass_finds(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 50, 300, 10.0)
    now = BEGIN + timedelta(hours=53)
    for labelled, hours, is_new in ((1, 48, False), (1, 24, False), (1, 24, True), (2, 0, False)):
        if is_new:
            folder.add(BEGIN + timedelta(hours=40), 12, 200, 10.0)
        labels, delay = labels_of(labelled, share), timedelta(hours=hours)
        found = [folder.look(now, labels=labels, label_delay=delay) for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(ParquetPairs, "keeps_counts", property(lambda _self: False))
            expected = folder.look(now, labels=labels, label_delay=delay)
        assert found == [expected, expected]
        assert expected.labels_by_side is not None


@pytest.mark.slow
def test_looks_find_what_one_pass_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 30, 400, 0.0)
    for since, hours, rollout in (
        (BEGIN + timedelta(hours=30), 20, 10.0),  # the next step
        (BEGIN + timedelta(hours=50), 1, 10.0),  # what is new
        (BEGIN + timedelta(hours=26), 2, 0.0),  # late pairs, of a day of the past
        (BEGIN + timedelta(hours=51), 24, 10.0),  # over midnight
    ):
        folder.add(since, hours, 300, rollout)
        now = BEGIN + timedelta(hours=76)
        first, second, third = (folder.look(now) for _ in range(3))
        with monkeypatch.context() as patch:
            patch.setattr(ParquetPairs, "keeps_counts", property(lambda _self: False))
            expected = folder.look(now)
        assert first == expected
        assert second == expected
        assert third == expected
        assert expected.outputs[1].by_unit is not None
        assert expected.outputs[1].flips
