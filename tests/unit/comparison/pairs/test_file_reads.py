"""Several processes read the same from pair files as one process, whatever the files hold."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from comparison.errors import CompactionError, PairsUnreadableError
from comparison.pairs import file_reads
from comparison.pairs.compaction import runs
from comparison.pairs.compaction.runs import compact
from comparison.pairs.opening import STATE_FILE
from comparison.pairs.reader import read_all
from flags.export import attributes
from flags.export.compression import compressed
from tests.support.pair_files import PairFile, Scored, failed, span
from tests.support.paths import ROOT

WORKERS = 5


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return tmp_path / "pairs"


@pytest.fixture(autouse=True)
def _any_file_is_worth_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reads, "MIN_BYTES_PER_PROCESS", 1)


def write(pairs: Path, random: Random, name: str) -> None:
    """Write pair files as workers and accidents leave them: some damaged, packed, repeated."""
    for number in range(WORKERS):
        file = PairFile(pairs, f"{name}-{number}", flag=random.choice(["fraud-detector-v2", "b"]))
        file.start()
        for _ in range(random.randrange(40)):
            file.pair(
                random.choice([None, failed("error", "ValueError")]),
                Scored({random.choice("pqr"): random.random()}),
                segments={random.choice("ab"): random.choice(["web", "ü", ""])},
                features={"x": random.random()} if random.random() < 0.5 else {},
                changes={attributes.ROLLOUT: random.choice([None, 10.0, 25.0])},
            )
        if random.random() < 0.5:
            file.write(span("GET /", {}))
            file.line("{no json")
        if random.random() < 0.3:
            file.line('{"resourceSpans"', end="")
        if random.random() < 0.5:
            shutil.copy(file.path, pairs / f"again-{name}-{number}.jsonl")
        if random.random() < 0.5:
            packed = file.path.with_name(f"{file.path.name}.zst")
            packed.write_bytes(compressed(file.path.read_bytes(), "zstd"))
            file.path.unlink()


def written(into: Path) -> dict[Path, bytes]:
    files = [*into.rglob("*.parquet"), into / STATE_FILE]
    return {path.relative_to(into): path.read_bytes() for path in files}


@pytest.mark.parametrize("seed", range(3))
def test_any_number_of_processes_writes_the_same_files(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setattr(runs, "CHUNK_ROWS", random.choice([7, 50, 10_000]))
    monkeypatch.setattr(file_reads, "MAX_WHOLE_BYTES", random.choice([0, 20_000, 2**30]))
    started: list[Any] = []
    begin: Any = file_reads._Readers
    monkeypatch.setattr(file_reads, "_Readers", lambda count: started.append(count) or begin(count))
    for run in ("first", "second"):
        write(pairs, random, run)
        done = {jobs: compact(pairs, tmp_path / f"{jobs}", jobs=jobs) for jobs in (1, 3)}
        assert done[1] == done[3]
        assert written(tmp_path / "1") == written(tmp_path / "3")
        assert done[1].pairs
    assert started == [3, 3]
    assert read_all(tmp_path / "3").accounting == read_all(pairs).accounting


def test_little_is_read_without_another_process(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(subprocess, "Popen", None)
    for number in range(3):
        PairFile(pairs, f"worker-{number}").pair()
    assert compact(pairs, tmp_path / "into", jobs=3).pairs == 3


def test_an_error_of_a_file_names_it(pairs: Path, tmp_path: Path) -> None:
    for name in ("a", "c"):
        PairFile(pairs, name).pair()
    (pairs / "b.jsonl").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(PairsUnreadableError, match=r"b\.jsonl, line 1: not JSON") as found:
        compact(pairs, tmp_path / "into", jobs=2)
    assert (found.value.path, found.value.line) == (pairs / "b.jsonl", 1)
    assert not (tmp_path / "into" / STATE_FILE).exists()


# --- what ends ------------------------------------------------------------------------------------


def test_a_process_that_is_killed_ends_the_run_by_the_name_of_its_file(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        PairFile(pairs, f"worker-{number}").pair()
    answer: Callable[..., Any] = file_reads._ask

    def killed(process: subprocess.Popen[bytes], asked: tuple[Path, Any]) -> Any:
        if asked[0].stem == "worker-1":
            process.kill()
        return answer(process, asked)

    with monkeypatch.context() as patch:
        patch.setattr(file_reads, "_ask", killed)
        with pytest.raises(CompactionError, match=r"worker-\d\.jsonl: the process .* ended \(-9\)"):
            compact(pairs, tmp_path / "into", jobs=3)
    assert compact(pairs, tmp_path / "into", jobs=3).pairs == 3


KILLED = """
    import sys, threading, time
    from pathlib import Path

    from comparison.pairs import file_reads
    from comparison.pairs.compaction.runs import compact

    file_reads.MIN_BYTES_PER_PROCESS = 1
    begin = file_reads._Readers

    def readers(count):
        found = begin(count)
        print(*(each.pid for each in found._processes), flush=True)
        return found

    file_reads._Readers = readers
    answer = file_reads._ask
    file_reads._ask = lambda *asked: (answer(*asked), threading.Event().wait())[0]
    compact(Path(sys.argv[1]), Path(sys.argv[2]), jobs=2)
"""


def test_a_run_that_is_killed_leaves_no_process_and_nothing_that_counts(
    pairs: Path, tmp_path: Path
) -> None:
    for number in range(3):
        PairFile(pairs, f"worker-{number}").pair()
    into = tmp_path / "into"
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), pairs, into],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    readers = [int(each) for each in run.stdout.readline().split()]
    assert len(readers) == 2
    assert all(map(is_running, readers))
    run.send_signal(signal.SIGKILL)
    run.communicate()
    until = time.monotonic() + 60
    while any(map(is_running, readers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(is_running, readers))
    assert not (into / STATE_FILE).exists()
    assert compact(pairs, into, jobs=2).pairs == 3


def is_running(process: int) -> bool:
    """Say whether a process is running; a zombie is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return os.path.exists("/proc") is False and os.kill(process, 0) is None
