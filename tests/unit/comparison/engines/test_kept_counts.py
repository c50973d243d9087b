"""Counts that are kept are those of one pass, whatever happens to the pairs and to what is kept."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from comparison.counts.durations import _durations
from comparison.counts.step import _HOURLY
from comparison.counts.units.alarms import _DRAWN_UNITS
from comparison.counts.units.failures import _BY_FIGURES, UNITS
from comparison.engines.kept import tables
from comparison.engines.kept.memory import WRITE_AFTER_FILES, KeptMemory
from comparison.engines.kept.tables import KEPT, MOST_PARTS, KeptTables
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.parquet import ParquetPairs
from comparison.engines.worker_numbers import HOURS, NUMBERS
from comparison.pairs.compacted import PAIRS, STATE_FILE, CompactionState
from comparison.pairs.compaction.parts import PartWriter

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
COUNTS: Final = (
    replace(UNITS, groups=_BY_FIGURES),
    replace(UNITS, groups=_DRAWN_UNITS),
    *(HOURS, NUMBERS, _HOURLY, UNITS, _durations(3, 600 * 10**9)),
)
DIFFERENT: Final = len({counts.key for counts in COUNTS})
"""Sums over units are taken of the same counts."""
WINDOWS: Final = (
    (None, None),
    (BEGIN + timedelta(minutes=90), BEGIN + timedelta(hours=40)),
    (BEGIN + timedelta(hours=24), BEGIN + timedelta(hours=48, minutes=1)),
)


class Folder:
    """A compacted folder to which runs are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = 0
        self.numbers = count(1)
        self.memory = KeptMemory()
        path.mkdir()
        self.add(BEGIN, 1, size=4)

    def add(self, since: datetime, hours: int, size: int = 30) -> None:
        """Add a run with pairs of some hours, in files as `compact` writes them."""
        self.runs += 1
        random = np.random.default_rng(self.runs)
        numbers = [next(self.numbers) for _ in range(size)]
        steps = np.sort(random.integers(0, hours * 3_600_000_000, size)) * 1000
        answered = random.random(size) < 0.9
        frame = pd.DataFrame(
            {
                "span_id": [f"{number:016x}" for number in numbers],
                "request_id": [f"r{number}" for number in numbers],
                "time": pd.to_datetime(since) + pd.to_timedelta(steps),
                "flag": "flag",
                "worker": random.choice(["w1", "w2"], size),
                "sequence": pd.array(numbers, "Int64"),
                "unit": random.choice(["u1", "u2", "u3", None], size),
                "rollout": random.choice([0.0, 10.0], size),
                "active": random.choice(["primary", "candidate"], size),
                "fallback": random.random(size) < 0.1,
                "primary_status": np.where(answered, "ok", "error"),
                "candidate_status": "ok",
                "primary_duration": np.where(answered, random.lognormal(-5, 1, size), np.nan),
                "candidate_duration": random.lognormal(-5, 1, size),
            }
        )
        PartWriter(self.path, self.path, self.runs).write(frame)
        state = CompactionState(runs=self.runs, outputs=[]).dumps()
        (self.path / STATE_FILE).write_bytes(state)

    @property
    def kept(self) -> list[Path]:
        """Return the files of kept counts."""
        return sorted((self.path / KEPT).glob("*.arrow"))

    def check(
        self,
        windows: Sequence[int] = (0, 1, 2),
        memory: KeptMemory | None = None,
        asked: Sequence[MergeableCounts] = COUNTS,
    ) -> ParquetPairs:
        """Compare counts with those of one pass over the pairs."""
        source = ParquetPairs(self.path, memory=memory)
        for number in windows:
            since, until = WINDOWS[number]
            for counts in asked:
                found = counts.fetched(source.counted(counts, since, until)).to_pandas()
                every = counts.fetched(counts.statement(source.table(since, until))).to_pandas()
                columns, by = list(every.columns), list((counts.groups or counts).by)
                assert_frame_equal(
                    found[columns].sort_values(by, ignore_index=True),
                    every.sort_values(by, ignore_index=True),
                )
        return source

    def damage(self, place: int, how: str) -> None:
        """Damage a file of kept counts, as a disk or a killed process may."""
        if not self.kept:
            return
        path = self.kept[place % len(self.kept)]
        held = path.read_bytes()
        if how == "remove":
            path.unlink()
        elif how == "truncate":
            path.write_bytes(held[: len(held) // 2])
        elif how == "turn":
            at = place % len(held)
            path.write_bytes(held[:at] + bytes([held[at] ^ 1]) + held[at + 1 :])
        elif how == "exchange":
            path.write_bytes(self.kept[0].read_bytes())
        else:
            path.with_name(f".{path.name}.killed").write_bytes(held[:10])


APPEND: Final = st.tuples(
    st.just("add"), st.integers(0, 71), st.sampled_from([1, 3, 30]), st.integers(1, 40)
)
LOOK: Final = st.tuples(
    st.just("look"),
    st.sampled_from([(0,), (1,), (2,), (0, 1, 2)]),
    st.booleans(),
    st.sampled_from([COUNTS, COUNTS[:1], COUNTS[1:2]]),  # a look may fail after some of its counts
)
DAMAGE: Final = st.tuples(
    st.just("damage"),
    st.integers(0, 10**6),
    st.sampled_from(["remove", "truncate", "turn", "exchange", "kill"]),
)
UPGRADE: Final = st.tuples(st.just("upgrade"))


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(happened=st.lists(APPEND | LOOK | DAMAGE | UPGRADE, max_size=8))
def test_any_order_of_appends_looks_damages_and_upgrades_gives_the_counts_of_one_pass(
    happened: list[tuple[object, ...]],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Folder(tmp_path_factory.mktemp("kept") / "compacted")
    for event in happened:
        match event:
            case "add", int(hour), int(hours), int(size):
                folder.add(BEGIN + hour * HOUR, hours, size)
            case "look", tuple(windows), bool(again), tuple(asked):
                folder.check(windows, folder.memory if again else None, asked)
            case "damage", int(place), str(how):
                folder.damage(place, how)
            case _:
                monkeypatch.setattr(tables, "software", lambda: os.urandom(8))
    folder.check(memory=folder.memory)
    folder.check()


def test_a_second_look_counts_nothing_and_a_later_one_the_files_that_are_new(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 60, size=500)
    assert folder.check()._counts.counted
    assert folder.check()._counts.counted == 0
    folder.add(BEGIN + 59 * HOUR, 1)  # only the first window has something of it
    assert folder.check()._counts.counted == DIFFERENT
    folder.add(BEGIN + 30 * HOUR, 1)  # late pairs, of all windows
    assert folder.check()._counts.counted == 3 * DIFFERENT


def test_a_sum_with_a_file_that_is_there_no_longer_is_counted_anew(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 1)
    folder.check()
    max((folder.path / PAIRS).rglob("*.parquet")).unlink()
    folder.check()


def test_of_the_same_counts_only_the_windows_asked_for_last_are_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.add(BEGIN, 20, size=200)
    for hour in range(2 * MOST_PARTS):
        ParquetPairs(folder.path).counted(HOURS, BEGIN, BEGIN + hour * HOUR)
    assert len(folder.kept) == MOST_PARTS


def test_who_looks_again_reads_nothing_and_writes_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "compacted")

    def looked() -> int:
        return folder.check((0,), folder.memory)._counts.counted

    assert looked() == DIFFERENT
    written = [path.read_bytes() for path in folder.kept]
    monkeypatch.setattr(KeptTables, "read", None)
    for _ in range(3):
        folder.add(BEGIN, 1)
        assert looked() == DIFFERENT
    assert looked() == 0
    assert [path.read_bytes() for path in folder.kept] == written
    folder.add(BEGIN, 24 * WRITE_AFTER_FILES, size=2_000)
    looked()
    assert all(path.read_bytes() not in written for path in folder.kept)


def test_who_looks_again_takes_what_another_process_has_counted(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.check((0,), folder.memory)
    folder.add(BEGIN, 1)
    folder.check((0,))
    assert folder.check((0,), folder.memory)._counts.counted == 0


def test_a_folder_that_cannot_be_written_is_counted_all_the_same(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "compacted")
    (folder.path / KEPT).write_text("no folder")
    folder.check()


def test_kept_counts_can_be_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "compacted")
    folder.check()
    before = {path.name: path.read_bytes() for path in folder.kept}
    for path in folder.kept:
        path.unlink()
    (folder.path / KEPT).rmdir()
    folder.check()
    assert {path.name: path.read_bytes() for path in folder.kept} == before


def test_other_parameters_are_other_counts() -> None:
    def key(warm_up: int) -> str:
        counts: MergeableCounts = _durations(warm_up, None)
        return counts.where(flag="a").key

    assert key(0) != key(1)
    assert key(0) == key(0)
