"""A look at unchanged files queries no engine, and finds the same as a first look."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pytest

from comparison.engines.parquet import ParquetPairs
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.pairs_judge import PairsJudge
from comparison.pairs.compacted import STATE_FILE
from comparison.report.verdict_document import VerdictDocument
from flags.gate.alarm_states import AlarmReading
from flags.operate.history import Run
from flags.operate.setting import Setting
from flags.playbook.model import Playbook
from tests.support.compacted_folder import OUTPUTS, CompactedFolder

BEGIN: Final = datetime(2026, 3, 2, 7, 20, tzinfo=UTC)
FIVE: Final = timedelta(minutes=5)
HOUR: Final = timedelta(hours=1)
RUN: Final = Run(
    Setting(True, 10, "userId", ("a strategy",)),
    BEGIN,
    None,
    "ada",
    by_token=False,
    how="created",
    event=1,
)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comparison.pairs.file_states.TIME_RESOLUTION", -1)


def plan(**changes: object) -> Playbook:
    steps = [
        {"stage": "canary", "rollout": 10, "hold": "2h", "min_pairs": 50},
        {"stage": "ramp", "rollout": 100, "hold": "1h", "min_pairs": 50},
    ]
    return Playbook.model_validate({"flag": "flag", "steps": steps, **changes})


def folder_of(path: Path, since: datetime = BEGIN, hours: int = 30) -> CompactedFolder:
    folder = CompactedFolder(path / "compacted", ["fraud"])
    folder.add(since, hours, 300, 10.0, at=since + hours * HOUR)
    return folder


def said(judge: PairsJudge, now: datetime, wanted: Playbook) -> object:
    """Return the whole verdict document."""
    return orjson.loads(VerdictDocument.of(*judge.judged(wanted, RUN, now)).json())


class Watched:
    """A judge whose looks are compared with the first looks of another judge."""

    def __init__(self, judge: Callable[[], PairsJudge], monkeypatch: pytest.MonkeyPatch) -> None:
        self._fresh = judge
        self._judge = judge()
        self._patch = monkeypatch

    def looks(self, now: datetime, wanted: Playbook, *, counts: bool) -> None:
        """Look; return whether the engine was queried."""
        opened: list[bool] = []
        at = FlagPairs.at
        with self._patch.context() as patch:
            patch.setattr(FlagPairs, "at", lambda *given: opened.append(True) or at(*given))
            found = said(self._judge, now, wanted)
        assert bool(opened) is counts, now
        if not counts:
            assert found == said(self._fresh(), now, wanted), now


def test_looks_at_the_same_files_count_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = folder_of(tmp_path), plan()
    watched = Watched(lambda: PairsJudge(folder.path), monkeypatch)
    now = BEGIN + 30 * HOUR
    watched.looks(now, wanted, counts=True)
    for minutes in (5, 40, 55, 180, 60 * 24):  # over the hour, over a day
        watched.looks(now + timedelta(minutes=minutes), wanted, counts=False)
    watched.looks(now, wanted, counts=True)  # a clock that was set back
    folder.add(BEGIN + 29 * HOUR, 2, 50, 10.0, at=now + HOUR)
    watched.looks(now + HOUR, wanted, counts=True)
    watched.looks(now + HOUR + FIVE, wanted, counts=False)
    watched.looks(now + HOUR + FIVE, plan(warm_up=5), counts=True)
    watched.looks(now + HOUR + 2 * FIVE, plan(warm_up=5), counts=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_judge_that_stays_finds_after_each_run_what_one_pass_finds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed)
    folder, wanted = folder_of(tmp_path), plan()
    judge = PairsJudge(folder.path)
    for hour in range(31, 36):
        if hour == 34:
            folder.outputs = OUTPUTS  # files with further columns
        now = BEGIN + hour * HOUR
        found = said(judge, now, wanted)
        with monkeypatch.context() as patch:
            patch.setattr(ParquetPairs, "keeps_counts", property(lambda _self: False))
            assert said(PairsJudge(folder.path), now, wanted) == found
        late, hours, size = (
            int(random.choice(each)) for each in ((1, 5, 30), (1, 2), (3, 60, 300))
        )
        folder.add(now - late * HOUR, hours, size, 10.0, at=now)


def test_a_file_that_is_gone_or_another_is_counted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = folder_of(tmp_path), plan()
    folder.add(BEGIN + 30 * HOUR, 1, 50, 10.0, at=BEGIN + 31 * HOUR)
    watched = Watched(lambda: PairsJudge(folder.path), monkeypatch)
    now = BEGIN + 31 * HOUR
    watched.looks(now, wanted, counts=True)
    next((folder.path / "pairs").rglob("000001-*")).unlink()
    watched.looks(now + FIVE, wanted, counts=True)
    state = folder.path / STATE_FILE
    state.write_bytes(state.read_bytes().replace(b'"corrupt": 0', b'"corrupt": 7'))
    watched.looks(now + 2 * FIVE, wanted, counts=True)


@pytest.mark.slow
def test_pairs_from_ahead_of_the_clock_are_counted_once_they_may_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = folder_of(tmp_path), plan()
    now = BEGIN + 32 * HOUR  # 15:20
    folder.add(BEGIN + 38 * HOUR, 1, 20, 10.0, at=now)  # from 21:20 on
    watched = Watched(lambda: PairsJudge(folder.path), monkeypatch)
    for minutes, counts in ((0, True), (5, False), (270, False), (280, True), (290, True)):
        watched.looks(now + timedelta(minutes=minutes), wanted, counts=counts)
    watched.looks(now + 8 * HOUR, wanted, counts=True)  # all of them have passed
    watched.looks(now + 8 * HOUR + FIVE, wanted, counts=False)


def test_a_worker_that_falls_silent_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = folder_of(tmp_path), plan()
    now = BEGIN + 30 * HOUR
    folder.add(now - HOUR, 1, 50, 10.0, at=now + HOUR)  # by a clock that is ahead
    watched = Watched(lambda: PairsJudge(folder.path), monkeypatch)
    watched.looks(now, wanted, counts=True)
    watched.looks(now + FIVE / 5, wanted, counts=False)
    watched.looks(now + 2 * FIVE, wanted, counts=True)
    watched.looks(now + 3 * FIVE, wanted, counts=False)


def labels_file(path: Path, seed: int) -> Path:
    random = np.random.default_rng(seed)
    rows = [f"r1-{number},{int(random.random() < 0.3)}\n" for number in range(150)]
    path.write_text("request_id,label.fraud\n" + "".join(rows))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (timedelta(days=14), (True, False, False)),  # no pair is old enough
        (timedelta(days=1), (True, False, True)),  # decided at whole hours
        (timedelta(hours=5), (True, True, True)),
        (timedelta(0), (True, False, False)),
    ],
    ids=str,
)
def test_labels_count_once_pairs_are_old_enough(
    late: timedelta,
    expected: Sequence[bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, labels = folder_of(tmp_path), labels_file(tmp_path / "labels.csv", 1)
    wanted = plan(label_cut_off=f"{late // timedelta(minutes=1)}m")
    watched = Watched(lambda: PairsJudge(folder.path, labels=labels), monkeypatch)
    now = BEGIN + 30 * HOUR
    for minutes, counts in zip((0, 20, 45), expected, strict=True):  # 13:20, 13:40, 14:05
        watched.looks(now + timedelta(minutes=minutes), wanted, counts=counts)
    labels_file(labels, 2)
    watched.looks(now + timedelta(minutes=50), wanted, counts=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("late", "expected"),
    [("7d", (True, False, False)), ("1d", (True, False, True)), ("0m", (True, False, False))],
)
def test_outcomes_count_once_requests_are_old_enough(
    late: str, expected: Sequence[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outcomes = folder_of(tmp_path), tmp_path / "outcomes.csv"
    now = BEGIN + 30 * HOUR
    rows = [f"r1-{number},complaint,1,{BEGIN + number * HOUR:%FT%TZ}" for number in range(28)]
    outcomes.write_text("\n".join(["request_id,metric,value,occurred_at", *rows, ""]))
    wanted = plan(outcomes={"complaint": {"cut_off": late}})
    watched = Watched(lambda: PairsJudge(folder.path, outcomes=outcomes), monkeypatch)
    for minutes, counts in zip((0, 20, 45), expected, strict=True):
        watched.looks(now + timedelta(minutes=minutes), wanted, counts=counts)
    later = now + timedelta(minutes=50)
    with outcomes.open("a") as file:
        file.write(f"r1-29,complaint,1,{later + FIVE:%FT%TZ}\n")  # not yet
    for minutes, counts in ((0, True), (3, False), (6, True), (9, False)):
        watched.looks(later + timedelta(minutes=minutes), wanted, counts=counts)


@pytest.mark.slow
def test_who_tracks_and_falls_silent_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, wanted = folder_of(tmp_path), plan(outcomes={"complaint": {"cut_off": "0m"}})
    now = BEGIN + 31 * HOUR
    tracked = {
        "span_id": "a",
        "request_id": "r1-1",
        "unit": None,
        "metric": "complaint",
        "value": 1.0,
        "time": int((now - FIVE / 5).timestamp()) * 10**9,
        "worker": "app",
        "sequence": 1,
    }
    folder.add(now - HOUR, 1, 50, 10.0, tracked=[tracked], at=now)
    watched = Watched(lambda: PairsJudge(folder.path), monkeypatch)
    for minutes, counts in ((0, True), (3, False), (6, True), (9, False)):
        watched.looks(now + timedelta(minutes=minutes), wanted, counts=counts)


def test_operational_alarms_are_asked_at_each_look(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    wanted = plan(alarms={"freeze": {"webhook": "http://change.example", "looks": 2}})
    readings: list[AlarmReading] = []

    def ask(asked: Playbook, now: datetime) -> Sequence[AlarmReading]:
        answer = "hold" if readings else "pass"
        source = asked.alarms["freeze"].source
        readings.append(AlarmReading("freeze", source, now, answer=answer))  # type: ignore[arg-type]
        return readings

    judge = PairsJudge(folder.path, ask_alarms=ask)
    now = BEGIN + 30 * HOUR
    judge.judged(wanted, RUN, now)
    _, judgement = judge.judged(wanted, RUN, now + FIVE)
    assert "operational alarm freeze: answers hold" in judgement.verdict.reasons
