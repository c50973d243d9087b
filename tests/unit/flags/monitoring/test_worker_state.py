"""Who is on the registry, whatever becomes of processes, files and disks."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flags.monitoring.worker_state import (
    FOLDER,
    GONE,
    SILENT,
    PairCounts,
    ShippingCounts,
    WorkerRegistry,
    Workers,
    WorkerState,
)
from tests.support.worker_states import NOON, worker_flag, worker_state, workers


class Clock:
    """Stands at noon until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock_at_noon() -> Clock:
    return Clock()


@pytest.fixture
def registries(tmp_path: Path, clock_at_noon: Clock) -> tuple[WorkerRegistry, WorkerRegistry]:
    """Return the registries of two workers of one service."""
    ours, theirs = (WorkerRegistry(tmp_path, "FraudDetector", clock_at_noon) for _ in range(2))
    return ours, theirs


def names(states: tuple[WorkerState, ...]) -> list[str]:
    return [state.worker for state in states]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / FOLDER).iterdir())


@contextmanager
def ended_process(*, reaped: bool) -> Iterator[int]:
    """Give the id of a process that was killed, and maybe not looked after by its parent yet."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
    yield process.pid
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def test_every_worker_sees_all_of_them_the_oldest_first(
    registries: tuple[WorkerRegistry, WorkerRegistry],
) -> None:
    ours, theirs = registries
    older = worker_state("older", started=NOON - timedelta(hours=2))
    ours.publish(worker_state("younger"))
    theirs.publish(older)
    assert names(ours.running()) == names(theirs.running()) == ["older", "younger"]
    assert ours.running()[0] == older


def test_the_last_state_counts(
    registries: tuple[WorkerRegistry, WorkerRegistry], tmp_path: Path
) -> None:
    ours, theirs = registries
    ours.publish(worker_state(flag=worker_flag(rollout=5.0)))
    ours.publish(worker_state(flag=worker_flag(rollout=25.0)))
    (seen,) = theirs.running()
    assert seen.flag.rollout == 25.0
    assert files(tmp_path) == ["w1.json"]


def test_a_worker_that_withdraws_leaves_no_file(
    registries: tuple[WorkerRegistry, WorkerRegistry], tmp_path: Path
) -> None:
    ours, theirs = registries
    ours.publish(worker_state())
    ours.withdraw()
    ours.withdraw()
    assert ours.running() == theirs.running() == ()
    assert files(tmp_path) == []


@pytest.mark.parametrize("reaped", [True, False])
def test_a_killed_worker_is_off_the_list_at_once_and_its_file_is_swept_away(
    registries: tuple[WorkerRegistry, WorkerRegistry], tmp_path: Path, reaped: bool
) -> None:
    ours, theirs = registries
    ours.publish(worker_state("alive"))
    with ended_process(reaped=reaped) as pid:
        theirs.publish(worker_state("killed", pid=pid))
        assert names(ours.running()) == ["alive"]
        assert files(tmp_path) == ["alive.json", "killed.json"]
        assert names(ours.sweep()) == ["killed"]
        assert ours.sweep() == ()
    assert files(tmp_path) == ["alive.json"]


def test_a_silent_worker_stays_on_the_list_for_a_minute(
    registries: tuple[WorkerRegistry, WorkerRegistry], clock_at_noon: Clock
) -> None:
    ours, theirs = registries
    theirs.publish(worker_state("silent"))
    clock_at_noon.now += SILENT * 2
    assert names(ours.running()) == ["silent"]
    assert ours.sweep() == ()
    clock_at_noon.now += GONE
    assert ours.running() == ()
    assert names(ours.sweep()) == ["silent"]


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"pid_namespace": 1}])
def test_a_process_id_of_another_machine_or_container_means_nothing_here(
    registries: tuple[WorkerRegistry, WorkerRegistry],
    clock_at_noon: Clock,
    tmp_path: Path,
    elsewhere: dict,
) -> None:
    ours, theirs = registries
    with ended_process(reaped=True) as pid:
        theirs.publish(worker_state("elsewhere", pid=pid, **elsewhere))
        assert names(ours.running()) == ["elsewhere"]
        assert ours.sweep() == ()
        clock_at_noon.now += GONE * 2
        assert ours.running() == ()
        assert ours.sweep() == ()
        assert files(tmp_path) == ["elsewhere.json"]


def test_files_that_nobody_touches_for_an_hour_are_removed(
    registries: tuple[WorkerRegistry, WorkerRegistry], clock_at_noon: Clock, tmp_path: Path
) -> None:
    ours, theirs = registries
    theirs.publish(worker_state("elsewhere", host="another"))
    (tmp_path / FOLDER / "cut.tmp").write_text("{")
    (tmp_path / FOLDER / "note.txt").write_text("not ours")
    clock_at_noon.now = datetime.now(NOON.tzinfo) + timedelta(minutes=59)
    ours.sweep()
    assert len(files(tmp_path)) == 3
    clock_at_noon.now += timedelta(minutes=2)
    ours.sweep()
    assert files(tmp_path) == ["note.txt"]


def test_another_service_in_the_same_folder_is_left_alone(
    registries: tuple[WorkerRegistry, WorkerRegistry], tmp_path: Path
) -> None:
    ours, theirs = registries
    with ended_process(reaped=True) as pid:
        theirs.publish(worker_state("other", service="Another", pid=pid))
    assert ours.running() == ()
    assert ours.sweep() == ()
    assert files(tmp_path) == ["other.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"worker": "odd"}', b"\xff\xfe", b'"odd"']
)
def test_a_file_that_is_not_a_state_is_passed_over(
    registries: tuple[WorkerRegistry, WorkerRegistry], tmp_path: Path, content: bytes
) -> None:
    ours, _ = registries
    ours.publish(worker_state())
    (tmp_path / FOLDER / "odd.json").write_bytes(content)
    assert names(ours.running()) == ["w1"]
    assert ours.sweep() == ()


def test_a_state_counts_under_its_own_name_only(
    registries: tuple[WorkerRegistry, WorkerRegistry], tmp_path: Path
) -> None:
    ours, _ = registries
    ours.publish(worker_state())
    (tmp_path / FOLDER / "w1.json").rename(tmp_path / FOLDER / "copy.json")
    assert WorkerRegistry(tmp_path, "FraudDetector").running() == ()


def test_a_folder_that_cannot_be_written_costs_the_others_view_only_and_is_told_once(
    tmp_path: Path, clock_at_noon: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = tmp_path / "pairs"
    pairs.write_text("a file where the folder should be")
    ours = WorkerRegistry(pairs, "FraudDetector", clock_at_noon)
    for recorded in range(3):
        ours.publish(worker_state(pairs=PairCounts(recorded)))
    assert [state.pairs.recorded for state in ours.running()] == [2]
    assert len(caplog.records) == 1
    assert "cannot see this one" in caplog.text
    pairs.unlink()
    ours.publish(worker_state())
    assert names(WorkerRegistry(pairs, "FraudDetector", clock_at_noon).running()) == ["w1"]
    ours.withdraw()


def test_readers_never_find_half_a_state(tmp_path: Path, clock_at_noon: Clock) -> None:
    ours = WorkerRegistry(tmp_path, "FraudDetector", clock_at_noon)
    ours.publish(worker_state())
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            reasons = {f"reason-{each}": number for each in range(number % 50)}
            ours.publish(worker_state(pairs=PairCounts(number, dropped=reasons)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        theirs = WorkerRegistry(tmp_path, "FraudDetector", clock_at_noon)
        assert all(names(theirs.running()) == ["w1"] for _ in range(300))
    finally:
        stop.set()
        writer.join()


def test_what_a_service_says_survives_json() -> None:
    flag = worker_flag(thresholds={"score": 0.93}, error="no", warnings=("odd",), age_seconds=None)
    pairs = PairCounts(5, waiting=2, lag_seconds=1.5, dropped={"enospc": 3})
    shipping = ShippingCounts("http://c:4318", 7, {"http_400": 1}, {"connection": 2}, 512, 3.5)
    said = workers(
        worker_state(flag=flag, pairs=pairs, shipping=shipping),
        worker_state("w2", pid_namespace=None),
    )
    assert Workers.parse(said.to_json()) == said


def test_a_newer_service_may_say_more() -> None:
    said = json.loads(workers(worker_state()).to_json())
    said["since"] = said["workers"][0]["mood"] = said["workers"][0]["flag"]["colour"] = "new"
    assert Workers.parse(json.dumps(said).encode()) == workers(worker_state())


@pytest.mark.parametrize("text", [b"", b"<html>", b"{}", b'{"service": 1}', b"[]"])
def test_what_is_not_such_an_answer_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Workers.parse(text)
