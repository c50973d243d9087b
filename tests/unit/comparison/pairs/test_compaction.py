"""Compaction writes each pair to Parquet once, even if runs are killed or files change."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import comparison.pairs.compaction.runs
from comparison.cli.compact import compact as command
from comparison.errors import (
    CompactionError,
    CompactionUnreadableError,
    PairsUnreadableError,
    SeveralFlagsError,
)
from comparison.pairs.compacted import (
    PAIRS,
    parquet_file,
    read_state,
    time_range,
)
from comparison.pairs.compaction.runs import compact
from comparison.pairs.opening import STATE_FILE
from comparison.pairs.reader import load_pairs, read_all, read_pairs
from flags.export import attributes
from tests.support.pair_files import FLAG, PairFile, Scored, failed, span, traces
from tests.support.paths import ROOT


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return tmp_path / "pairs"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "compacted"


def same(compacted: Path, pairs: Path) -> None:
    """Compare a compacted folder with the pair files that it was made from."""
    accounting = read_all(pairs).accounting
    assert read_all(compacted).accounting == accounting
    for flag in accounting.flags:
        found, wanted = read_pairs(compacted, flag), read_pairs(pairs, flag)
        assert found.outputs == wanted.outputs
        pd.testing.assert_frame_equal(recorded(found.frame), recorded(wanted.frame))


def recorded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return pairs in one order, without segments and features that none of them has a value of."""
    named = [name for name in frame.columns if name.startswith(("segment.", "feature."))]
    unused = [name for name in named if frame[name].isna().all()]
    return frame.drop(columns=unused).sort_values(["time", "span_id"], ignore_index=True)


def parquet(into: Path) -> list[Path]:
    return sorted((into / PAIRS).rglob("*.parquet"))


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_takes_what_was_written_since_the_last_one(pairs: Path, into: Path) -> None:
    file = PairFile(pairs)
    file.start()
    for _ in range(5):
        file.pair()
    assert compact(pairs, into).pairs == 5
    before = {path: path.read_bytes() for path in parquet(into)}

    file.pair(Scored({"fraud_probability": 0.3, "other": 0.9}), failed("timeout", "TimeoutError"))
    file.pair(segments={"channel": "web"}, features={"amount": 3.5})
    file.stop()
    other = PairFile(pairs, "worker-2")
    other.pair()
    assert compact(pairs, into).pairs == 3

    same(into, pairs)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_without_anything_new_leaves_the_folder_as_it_is(pairs: Path, into: Path) -> None:
    PairFile(pairs).pair()
    compact(pairs, into)
    before = {path: path.stat().st_mtime_ns for path in into.rglob("*")}
    done = compact(pairs, into)
    assert (done.pairs, done.bytes) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in into.rglob("*")} == before


def test_a_folder_without_pairs_makes_one_that_can_be_read(pairs: Path, into: Path) -> None:
    pairs.mkdir()
    assert compact(pairs, into).pairs == 0
    assert load_pairs(into).empty
    PairFile(pairs).pair()
    compact(pairs, into)
    same(into, pairs)


def test_one_file_can_be_compacted(pairs: Path, into: Path) -> None:
    file = PairFile(pairs)
    file.pair()
    assert compact(file.path, into).pairs == 1
    same(into, pairs)


def test_flags_and_days_have_folders_of_their_own(pairs: Path, into: Path) -> None:
    file, other = PairFile(pairs), PairFile(pairs, "worker-2", flag="a/b = c")
    file.pair()
    other.pair()
    for each, days in ((file, 1), (other, 2)):
        made = each.span()
        made["startTimeUnixNano"] = str(int(made["startTimeUnixNano"]) + days * 86_400_000_000_000)
        each.write(made)
    compact(pairs, into)
    assert [str(path.parent.relative_to(into / PAIRS)) for path in parquet(into)] == [
        "flag=a%2Fb%20%3D%20c/date=2025-11-23",
        "flag=a%2Fb%20%3D%20c/date=2025-11-25",
        "flag=fraud-detector-v2/date=2025-11-23",
        "flag=fraud-detector-v2/date=2025-11-24",
    ]
    same(into, pairs)
    with pytest.raises(SeveralFlagsError):
        read_pairs(into)
    assert len(read_pairs(into, "a/b = c").frame) == 2


def test_a_file_says_when_its_first_and_its_last_pair_were(pairs: Path, into: Path) -> None:
    file = PairFile(pairs)
    for _ in range(5):
        file.pair()
    compact(pairs, into)
    times = read_all(into).frame["time"].astype("int64")
    [path] = parquet(into)
    with parquet_file(path) as held:
        assert time_range(held) == (times.min(), times.max())
    assert times.min() < times.max()


def test_pairs_are_written_in_chunks_of_bounded_size(
    pairs: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison.pairs.compaction.runs, "CHUNK_ROWS", 3)
    monkeypatch.setattr("comparison.pairs.files.BLOCK_ROWS", 2)
    monkeypatch.setattr("comparison.pairs.files._CHUNK_BYTES", 1_000)
    file = PairFile(pairs)
    for _ in range(10):
        file.pair()
    shutil.copy(file.path, pairs / "copy.jsonl")
    done = compact(pairs, into)
    assert (done.pairs, done.repeated) == (10, 10)
    assert len(parquet(into)) > 2
    same(into, pairs)


# --- what files may hold --------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 40, -2])
def test_a_torn_last_line_is_left_for_the_run_that_finds_it_whole(
    pairs: Path, into: Path, cut: int
) -> None:
    file = PairFile(pairs)
    file.pair()
    whole = file.path.read_text()
    file.path.write_text(whole + whole[:cut].replace("request-1", "request-2"))
    done = compact(pairs, into)
    assert (done.pairs, done.torn, done.corrupt) == (1, 1, 0)
    assert read_all(into).accounting.torn == 1
    same(into, pairs)

    file.path.write_text(whole)
    file.given = 1
    file.pair()
    done = compact(pairs, into)
    assert (done.pairs, done.torn, done.corrupt, done.repeated) == (1, 0, 0, 0)
    same(into, pairs)


def test_a_pair_that_comes_again_in_a_later_run_is_taken_once_and_counted(
    pairs: Path, into: Path
) -> None:
    file = PairFile(pairs)
    for _ in range(4):
        file.pair()
    compact(pairs, into)
    shutil.copy(file.path, pairs / "delivered-again.jsonl")
    file.pair()
    done = compact(pairs, into)
    assert (done.pairs, done.repeated) == (1, 4)
    same(into, pairs)
    assert read_all(into).accounting.duplicates == 4


def test_foreign_spans_and_corrupt_lines_are_counted_over_all_runs(pairs: Path, into: Path) -> None:
    file = PairFile(pairs)
    file.pair()
    file.write(span("GET /", {}), span("SELECT", {}))
    file.line('{"resourceMetrics": []}')
    file.line("{no json at all")
    done = compact(pairs, into)
    assert (done.foreign, done.corrupt) == (3, 1)
    assert done.first_corrupt == f"{file.path}, line 4"
    file.line("\0\0\0")
    file.line(json.dumps(traces(span("other", {}), scope="someone-else")))
    file.pair(changes={attributes.REQUEST_ID: None})
    done = compact(pairs, into)
    assert (done.pairs, done.foreign, done.corrupt) == (0, 1, 2)
    accounting = read_all(into).accounting
    assert (accounting.foreign, accounting.corrupt) == (4, 3)
    assert accounting.first_corrupt == f"{file.path}, line 4"
    same(into, pairs)


def test_a_file_replaced_by_another_of_its_name_is_read_from_its_beginning(
    pairs: Path, into: Path
) -> None:
    file = PairFile(pairs)
    for _ in range(3):
        file.pair()
    compact(pairs, into)
    file.path.unlink()
    file.given = 10
    for _ in range(5):
        file.pair()
    done = compact(pairs, into)
    assert (done.pairs, done.repeated) == (5, 0)
    assert len(load_pairs(into)) == 8


def test_pairs_stay_when_their_files_are_removed(pairs: Path, into: Path) -> None:
    file, kept = PairFile(pairs), PairFile(pairs, "worker-2")
    file.pair()
    kept.pair()
    compact(pairs, into)
    file.path.unlink()
    assert compact(pairs, into).pairs == 0
    kept.pair()
    assert compact(pairs, into).pairs == 1
    assert len(load_pairs(into)) == 3


def test_a_file_that_its_writer_removes_meanwhile_is_passed_over(
    pairs: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PairFile(pairs).pair()
    gone = pairs / "gone.jsonl"
    files = [gone, pairs / "worker-1.jsonl"]
    monkeypatch.setattr(comparison.pairs.compaction.runs, "find_files", lambda _source: files)
    assert compact(pairs, into).pairs == 1


# --- refusals -------------------------------------------------------------------------------------


def test_two_runs_at_once_are_refused(pairs: Path, into: Path) -> None:
    PairFile(pairs).pair()
    compact(pairs, into)
    with (into / ".lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CompactionError, match="is being written by another run"):
            compact(pairs, into)
    assert compact(pairs, into).pairs == 0


def test_a_folder_that_holds_something_else_is_refused(pairs: Path, into: Path) -> None:
    PairFile(pairs).pair()
    into.mkdir()
    (into / "thesis.txt").write_text("mine")
    with pytest.raises(CompactionError, match="holds something else"):
        compact(pairs, into)
    assert [path.name for path in into.iterdir()] == ["thesis.txt"]
    with pytest.raises(CompactionError, match="is not a folder"):
        compact(pairs, into / "thesis.txt")


def test_pairs_that_are_not_there_are_refused_before_anything_is_written(
    pairs: Path, into: Path
) -> None:
    with pytest.raises(PairsUnreadableError):
        compact(pairs, into)
    assert not into.exists()


@pytest.mark.parametrize(
    "state", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "files": 3}', b'{"format": 1}']
)
def test_a_state_that_cannot_be_read_is_refused_by_name(
    pairs: Path, into: Path, state: bytes
) -> None:
    PairFile(pairs).pair()
    compact(pairs, into)
    (into / STATE_FILE).write_bytes(state)
    with pytest.raises(CompactionUnreadableError, match=STATE_FILE):
        compact(pairs, into)
    with pytest.raises(CompactionUnreadableError, match=STATE_FILE):
        load_pairs(into)


def test_a_parquet_file_that_was_cut_is_refused_by_name(pairs: Path, into: Path) -> None:
    PairFile(pairs).pair()
    compact(pairs, into)
    [path] = parquet(into)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CompactionUnreadableError, match=path.name):
        load_pairs(into)


# --- what stops a run -----------------------------------------------------------------------------


class Killed(BaseException):
    """Simulates the end of the process: no code of ours catches it."""


STEPS = ("os.fsync", "pathlib.Path.rename", "pathlib.Path.replace", "shutil.rmtree")


def killed_at(step: int, run: Callable[[], object], patch: pytest.MonkeyPatch) -> int:
    """Run until the numbered step that changes the disk; return how many steps there were."""
    done = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            if done == step:
                raise Killed
            done += 1
            return real(*arguments, **options)

        return change

    with patch.context() as changed:
        for name in STEPS:
            module, _, attribute = name.rpartition(".")
            owner: Any = {"os": os, "shutil": shutil, "pathlib.Path": Path}[module]
            changed.setattr(owner, attribute, counted(getattr(owner, attribute)))
        with suppress(Killed):
            run()
    return done


def test_a_run_that_ends_at_any_step_leaves_all_or_nothing_of_itself(
    pairs: Path, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = PairFile(pairs), PairFile(pairs, "worker-2", flag="other")
    for each in (file, other):
        each.start()
        each.pair()
    compact(pairs, into)
    first = set(read_all(into).frame["span_id"])
    for each in (file, other):
        each.pair()
        each.stop()
    shutil.copy(file.path, pairs / "again.jsonl")
    every = set(read_all(pairs).frame["span_id"])
    seen = set()
    for step in range(100):
        broken = tmp_path / f"step-{step}"
        shutil.copytree(into, broken)
        reached = killed_at(step, lambda to=broken: compact(pairs, to), monkeypatch)
        counted = read_state(broken).runs
        found = list(read_all(broken).frame["span_id"])
        assert len(found) == len(set(found)), step
        assert first <= set(found) <= every, step
        seen.add(counted)
        compact(pairs, broken)
        same(broken, pairs)
        assert not (broken / ".run").exists()
        assert not (broken / ".committed").exists()
        if reached < step:
            break
    else:
        pytest.fail("the run has no end")
    assert step > 8
    assert seen == {1, 2}


KILLING = """
    import os, random, signal, sys, time
    from pathlib import Path

    import pandas, pyarrow.parquet
    import comparison.pairs.compacted
    from comparison.pairs.compaction.runs import compact
    from comparison.pairs.reader import read_all
    from tests.support.pair_files import PairFile

    def forked(do, kill_after=None):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                do()
                code = 0
            finally:
                os._exit(code)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1]

    def check():
        ids = list(read_all(into).frame["span_id"])
        assert len(ids) == len(set(ids)) <= file.given

    folder, into = Path(sys.argv[1]), Path(sys.argv[2])
    file, random = PairFile(folder), random.Random(7)
    lengths, killed = [], 0
    for number in range(int(sys.argv[3])):
        for _ in range(200):
            file.pair()
        began = time.monotonic()
        if number % 5 == 0:
            assert forked(lambda: compact(folder, into)) == 0
            lengths.append(time.monotonic() - began)
        else:
            ended = forked(lambda: compact(folder, into), random.uniform(0, max(lengths)))
            killed += ended == signal.SIGKILL
            assert ended in (0, signal.SIGKILL), ended
        assert forked(check) == 0
    assert forked(lambda: compact(folder, into)) == 0
    print(killed)
"""


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_and_doubles_nothing(pairs: Path, into: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLING), pairs, into, "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5, "hardly any run was killed"
    same(into, pairs)


FULL = """
    import resource, sys
    from comparison.cli.compact import compact

    limit = int(sys.argv.pop())
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    compact(sys.argv[1:])
"""


@pytest.mark.parametrize("limit", [10, 600])
def test_a_disk_that_takes_no_more_is_an_error_and_the_next_run_goes_on(
    pairs: Path, into: Path, limit: int
) -> None:
    """A limit on the size of files simulates the full disk: a write fails in the middle."""
    file = PairFile(pairs)
    for _ in range(500):
        file.pair()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), pairs, "--into", into, str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: ")
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not parquet(into)
    compact(pairs, into)
    same(into, pairs)


# --- the same as the pair files, whatever they hold -----------------------------------------------

numbers = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, float("nan"), float("inf")])
sides = st.builds(
    Scored,
    numbers,
    st.sampled_from([None, 0.5]),
    st.sampled_from(["ok", "ok", "ok", "error", "shed", "skipped"]),
    st.none() | st.floats(0, 200),
    st.sampled_from([None, "fraud:1", "fraud:2"]),
    st.sampled_from([None, "ValueError"]),
)
options = st.fixed_dictionaries(
    {
        "active": st.sampled_from(["primary", "candidate"]),
        "segments": st.dictionaries(st.sampled_from("ab"), st.text(max_size=3), max_size=2),
        "features": st.dictionaries(st.sampled_from("xy"), st.floats(), max_size=2),
        "changes": st.dictionaries(
            st.sampled_from([attributes.ROLLOUT, attributes.SEQUENCE, attributes.FLAG_VARIANT]),
            st.none() | st.integers(1, 50),
        ),
    }
)
batches = st.lists(
    st.lists(st.tuples(sides, sides, options, st.integers(1, 2)), max_size=6),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches, st.booleans())
def test_a_compacted_folder_reads_as_its_pair_files(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Any], again: bool
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    pairs, into = folder / "pairs", folder / "compacted"
    files = {n: PairFile(pairs, f"worker-{n}") for n in (1, 2)}
    for number, batch in enumerate(runs):
        for primary, candidate, chosen, worker in batch:
            files[worker].pair(primary, candidate, **chosen)
        if again and files[1].path.exists():
            shutil.copy(files[1].path, pairs / f"again-{number}.jsonl")
        compact(pairs, into)
    same(into, pairs)


# --- what others find in there --------------------------------------------------------------------


def test_the_files_have_typed_columns_and_are_sorted_by_time(pairs: Path, into: Path) -> None:
    first, second = PairFile(pairs, "z"), PairFile(pairs, "a")
    for _ in range(3):
        first.pair(segments={"channel": "web"}, features={"amount": 2.5})
        second.pair()
    compact(pairs, into)
    [path] = parquet(into)
    table = pq.ParquetFile(path).read()
    types = {
        name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)
    }
    assert types["time"] == "timestamp[ns, tz=UTC]"
    assert types["sequence"] == "int64"
    assert types["fallback"] == "bool"
    assert types["primary_score.fraud_probability"] == "double"
    assert types["segment.channel"] == "string"
    assert "flag" not in types
    times = table["time"].to_pylist()
    assert times == sorted(times)
    assert table["segment.channel"].to_pylist().count(None) == 3


# --- the command ----------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


def test_the_command_says_what_it_did_and_what_it_left_out(pairs: Path, into: Path) -> None:
    file = PairFile(pairs)
    file.pair()
    file.write(span("GET /", {}))
    file.line("{")
    shutil.copy(file.path, pairs / "copy.jsonl")
    file.line('{"resourceSpans"', end="")
    result = run(pairs, "--into", into)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    for words in (
        "Took 1 pair (0.0 MB of 2 files)",
        "1 pair found again, and taken once.",
        "1 file cut off (first: ",
        "what is there of its last line is left for the next run.",
        "2 corrupt (first:",
        "2 spans of other programs, left out.",
    ):
        assert words in text
    again = run(pairs, "--into", into)
    assert again.stdout.startswith("Nothing new in 2 files.")


def test_the_command_refuses_in_one_line(pairs: Path, into: Path) -> None:
    result = run(pairs, "--into", into)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "no such file or folder" in result.stderr
    PairFile(pairs, flag=FLAG).path.write_bytes(b"\x89PNG\r\n")
    result = run(pairs, "--into", into)
    assert result.exit_code == 2
    assert "not JSON" in result.stderr
    assert not parquet(into)
