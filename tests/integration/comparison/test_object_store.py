"""Pairs in an object store: the same verdict as in a folder, and runs that count whole or not."""

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import comparison
from comparison import load_pairs
from comparison.cli.compact import compact as compact_command
from comparison.cli.compare import compare as compare_command
from comparison.cli.gate import gate
from comparison.errors import CompactionError
from comparison.pairs.compacted import read_state
from comparison.pairs.compaction import targets
from comparison.pairs.compaction.runs import compact
from comparison.pairs.file_states import compacted_states
from comparison.pairs.reader import read_all
from comparison.pairs.stores import systems
from comparison.pairs.stores.folders import StorePath, folder_at
from comparison.pairs.stores.systems import CREDENTIALS
from flags.export.worker_count import CountFile
from tests.support.gated_pairs import PLAYBOOK, assert_same_verdict, write_gated_pairs
from tests.support.object_store import BUCKET, SECRET, ObjectStore, object_store
from tests.support.pair_files import PairFile


@pytest.fixture(
    scope="module",
    params=["s3", "gs", pytest.param("az", marks=pytest.mark.slow)],  # it deletes slowly
)
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    with object_store(request.param) as running:
        yield running


@pytest.fixture
def place(store: ObjectStore, request: pytest.FixtureRequest) -> str:
    """Return the URL of a folder for one test."""
    return f"{store.scheme}://{BUCKET}/{request.node.originalname}"


of_amazon = pytest.mark.parametrize("store", ["s3"], indirect=True, scope="module")


def upload(folder: Path, url: str) -> None:
    """Copy a folder into the store, with what begins with a dot."""
    for path in folder.rglob("*"):
        if path.is_file():
            (folder_at(url) / path.relative_to(folder)).write_bytes(path.read_bytes())


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


# --- reading --------------------------------------------------------------------------------------


def test_the_verdict_on_pair_files_in_a_store_is_that_on_the_folder(
    tmp_path: Path, place: str
) -> None:
    pairs = write_gated_pairs(tmp_path)
    CountFile(pairs.folder, "worker-1", "FraudDetector").write(1_500, 0, closed=True)
    upload(pairs.folder, place)
    assert_same_verdict(pairs, place, pairs.folder)


def test_the_verdict_on_a_compacted_folder_in_a_store_is_that_on_the_folder(
    tmp_path: Path, place: str
) -> None:
    pairs = write_gated_pairs(tmp_path)
    compact(pairs.folder, tmp_path / "compacted")
    compact(pairs.folder, place)
    assert_same_verdict(pairs, place, tmp_path / "compacted")


def test_files_of_a_store_that_have_not_changed_are_told_by_a_listing(
    tmp_path: Path, place: str
) -> None:
    file = PairFile(tmp_path / "pairs")
    file.pair()
    compact(tmp_path / "pairs", place)
    seen = compacted_states(place)
    assert seen is not None
    assert compacted_states(place) == seen
    file.pair()
    compact(tmp_path / "pairs", place)
    assert compacted_states(place) != seen
    assert compacted_states(f"{place}/pairs") is None


def test_compressed_pair_files_are_read_from_a_store(tmp_path: Path, place: str) -> None:
    import gzip

    import pyarrow as pa

    file = PairFile(tmp_path / "pairs")
    for _ in range(300):
        file.pair()
    content = file.path.read_bytes()
    packed = pa.compress(content, codec="zstd", asbytes=True)
    lines = content.splitlines(keepends=True)
    for name, held in {
        "a.jsonl": b"".join(lines[:100]),
        "b.jsonl.gz": gzip.compress(b"".join(lines[100:])),
        "c.jsonl.zst": packed,
    }.items():
        (folder_at(place) / name).write_bytes(held)
    found = read_all(place)
    assert (len(found.frame), found.accounting.duplicates) == (300, 300)
    assert found.accounting.files == 3


def test_compare_and_load_pairs_take_the_url_of_a_store(tmp_path: Path, place: str) -> None:
    pairs = write_gated_pairs(tmp_path)
    upload(pairs.folder, place)
    pd.testing.assert_frame_equal(load_pairs(place), load_pairs(pairs.folder))
    found = comparison.compare(place, pairs.playbook, until=pairs.end)
    assert found.verdict.decision == "ADVANCE"
    there = json.loads(run(compare_command, place, "--json", "-").stdout)
    here = json.loads(run(compare_command, pairs.folder, "--json", "-").stdout)
    assert there["equal_answers"] == here["equal_answers"]


# --- compacting -----------------------------------------------------------------------------------


def test_each_run_into_a_store_takes_what_is_new(tmp_path: Path, place: str) -> None:
    file = PairFile(tmp_path / "pairs")
    for _ in range(20):
        file.pair()
    first = run(compact_command, tmp_path / "pairs", "--into", place)
    assert first.output.startswith("Took 20 pairs"), first.output
    for _ in range(5):
        file.pair()
    second = run(compact_command, tmp_path / "pairs", "--into", place)
    assert second.output.startswith("Took 5 pairs"), second.output
    assert run(compact_command, tmp_path / "pairs", "--into", place).output == (
        "Nothing new in 1 file.\n"
    )
    assert read_state(folder_at(place)).runs == 2
    pd.testing.assert_frame_equal(load_pairs(place), load_pairs(tmp_path / "pairs"))


def test_a_store_is_compacted_into_a_store(tmp_path: Path, place: str) -> None:
    file = PairFile(tmp_path / "pairs")
    for _ in range(20):
        file.pair()
    upload(tmp_path / "pairs", f"{place}/raw")
    done = compact(f"{place}/raw", f"{place}/compacted")
    assert (done.pairs, done.files) == (20, 1)
    again = compact(f"{place}/raw", f"{place}/compacted")
    assert (again.pairs, again.bytes) == (0, 0)


class Killed(BaseException):
    """Stand for the end of the process: nothing of ours catches it."""


def killed_at(step: int, act: Callable[[], object], patch: pytest.MonkeyPatch) -> int:
    """Run until the numbered change of the store; return how many there were."""
    done = 0
    real = StorePath.write_bytes, StorePath.open, StorePath.unlink

    def counted() -> None:
        nonlocal done
        if done >= step:
            raise Killed
        done += 1

    def written(path: StorePath, content: bytes) -> None:
        counted()
        real[0](path, content)

    def opened(path: StorePath, mode: str = "rb", buffering: int = -1) -> Any:
        if mode == "wb":
            counted()
        return real[1](path, mode, buffering)

    def removed(path: StorePath) -> None:
        counted()
        real[2](path)

    with patch.context() as changed:
        changed.setattr(StorePath, "write_bytes", written)
        changed.setattr(StorePath, "open", opened)
        changed.setattr(StorePath, "unlink", removed)
        changed.setattr(targets, "_UPLOADS", 1)
        with suppress(Killed):
            act()
    return done


@of_amazon
@pytest.mark.slow
def test_a_run_into_a_store_that_ends_at_any_step_leaves_all_or_nothing_of_itself(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "_LOCK_EXPIRY", 0)  # what a killed run left is taken over at once
    pairs = tmp_path / "pairs"
    file, other = PairFile(pairs), PairFile(pairs, "worker-2", flag="other")
    for each in (file, other):
        each.start()
        each.pair()
    compact(pairs, tmp_path / "into")
    first = set(read_all(tmp_path / "into").frame["span_id"])
    for each in (file, other):
        each.pair()
        each.stop()
    shutil.copy(file.path, pairs / "again.jsonl")
    every = set(read_all(pairs).frame["span_id"])
    seen = set()
    for step in range(100):
        broken = f"{place}/step-{step}"
        upload(tmp_path / "into", broken)
        reached = killed_at(step, lambda to=broken: compact(pairs, to), monkeypatch)
        found = list(read_all(broken).frame["span_id"])
        assert len(found) == len(set(found)), step
        assert set(found) in (first, every), step
        seen.add(read_state(folder_at(broken)).runs)
        compact(pairs, broken)
        assert read_all(broken).accounting == read_all(pairs).accounting
        assert not list((folder_at(broken) / targets.LOCKS).rglob("*"))
        if reached < step:
            break
    else:
        pytest.fail("the run has no end")
    assert step > 6
    assert seen == {1, 2}


def test_two_runs_at_once_into_a_store_are_refused(tmp_path: Path, place: str) -> None:
    PairFile(tmp_path / "pairs").pair()
    compact(tmp_path / "pairs", place)
    with targets.target_at(folder_at(place)).locked():
        refused = run(compact_command, tmp_path / "pairs", "--into", place)
    assert refused.exit_code == 2
    assert "is being written by another run (process " in refused.output
    assert socket.gethostname() in refused.output
    assert run(compact_command, tmp_path / "pairs", "--into", place).exit_code == 0


def test_a_run_whose_place_was_taken_counts_for_nothing(tmp_path: Path, place: str) -> None:
    PairFile(tmp_path / "pairs").pair()
    compact(tmp_path / "pairs", place)
    target = targets.target_at(folder_at(place))
    with target.locked() as staging:
        (staging / "pairs").mkdir(parents=True)
        for sign in (folder_at(place) / targets.LOCKS).rglob("*"):
            sign.unlink()
        with pytest.raises(CompactionError, match="another one took its place"):
            target.commit()


def test_a_folder_of_a_store_that_holds_something_else_is_refused(
    tmp_path: Path, place: str
) -> None:
    PairFile(tmp_path / "pairs").pair()
    (folder_at(place) / "mine.txt").write_bytes(b"mine")
    refused = run(compact_command, tmp_path / "pairs", "--into", place)
    assert refused.exit_code == 2
    assert "holds something else (mine.txt)" in refused.output


# --- what is wrong is said ------------------------------------------------------------------------


SERVERS = ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", "AZURE_STORAGE_CONNECTION_STRING")
SILENCE = {"s3": "NETWORK_CONNECTION", "gs": "Could not connect", "az": "Could not connect"}


def refusal(place: str, tmp_path: Path) -> str:
    """Return what `gate` says of a place; it is not a traceback and tells no secret."""
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")
    found = run(gate, place, "--playbook", tmp_path / "playbook.yaml")
    assert found.exit_code == 2, found.output
    assert isinstance(found.exception, SystemExit)
    assert SECRET not in found.output
    return " ".join(found.output.split())


def test_a_bucket_that_is_not_there_is_named(store: ObjectStore, tmp_path: Path) -> None:
    said = refusal(f"{store.scheme}://nothing-here/pairs", tmp_path)
    assert "there is no bucket nothing-here" in said


def test_a_folder_without_files_is_named(place: str, tmp_path: Path) -> None:
    assert f"{place}: no such file or folder" in refusal(place, tmp_path)


def test_refused_access_says_where_credentials_are_looked_for(
    store: ObjectStore, place: str, tmp_path: Path
) -> None:
    with store.closed_to_all():
        said = refusal(place, tmp_path)
    assert "access refused" in said
    assert CREDENTIALS[store.scheme].partition(", ")[0] in said


def test_a_server_that_does_not_answer_is_named(
    store: ObjectStore, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "_RETRY_LIMIT", timedelta(seconds=2))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        elsewhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for name in SERVERS:
            if name in os.environ:
                told = os.environ[name]
                monkeypatch.setenv(name, re.sub(r"http://127.0.0.1:\d+", elsewhere, told))
        said = refusal(place, tmp_path)
    assert "the store does not answer (" in said
    assert SILENCE[store.scheme] in said


def test_credentials_in_a_url_are_refused_and_not_shown(store: ObjectStore, tmp_path: Path) -> None:
    said = refusal(f"{store.scheme}://AKIA:{SECRET}@{BUCKET}/pairs", tmp_path)
    assert "a URL must not hold credentials" in said


def test_the_account_of_azure_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    assert "AZURE_STORAGE_ACCOUNT names no account" in refusal("az://container/pairs", tmp_path)


def test_compact_refuses_the_url_of_an_engine(tmp_path: Path) -> None:
    refused = run(compact_command, tmp_path, "--into", "clickhouse://host/db")
    assert refused.exit_code == 2
    assert "a folder is a path or begins with s3://, gs://, az://, not clickhouse://" in (
        " ".join(refused.output.split())
    )
