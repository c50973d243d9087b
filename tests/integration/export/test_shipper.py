"""Every line of every pair file reaches a real OTLP receiver, whoever wrote it and ships it."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flags.export.destination import Protocol
from flags.export.pair_files import FileLimits
from flags.export.shipped_file import POSITION_SUFFIX
from tests.support.fakes import eventually
from tests.support.otlp_proxy import Fault, OtlpProxy
from tests.support.otlp_server import OtlpReceiver
from tests.support.pair_files import span
from tests.support.shipping_worker import (
    QUICK,
    Worker,
    all_shipped,
    assert_all_arrive,
    ids,
    written_until_killed,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the pair files."""
    return tmp_path / "pairs"


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("gzip", [False, True])
def test_a_pair_arrives_as_it_is_in_the_file(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path, protocol: Protocol, gzip: bool
) -> None:
    token = {"authorization": "Bearer secret"}
    with Worker(folder, proxy.url, protocol=protocol, gzip=gzip, headers=token) as worker:
        worker.write(120)
        spans = assert_all_arrive(receiver, worker)
    assert len(spans) == 120  # each once
    assert worker.account.shipped == 120
    by_id = {each["spanId"]: each for each in spans}
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            for written in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
                assert_arrived(by_id[written["spanId"]], written)
    assert proxy.headers["authorization"] == "Bearer secret"
    assert proxy.headers["User-Agent"].startswith("bentoml-flags/")
    assert proxy.headers.get("Content-Encoding") == ("gzip" if gzip else None)
    assert max(proxy.sizes) <= QUICK.batch_pairs


def assert_arrived(arrived: dict[str, Any], written: dict[str, Any]) -> None:
    for name in ("traceId", "parentSpanId", "name", "startTimeUnixNano", "endTimeUnixNano"):
        assert arrived[name] == written[name]
    assert arrived["resource"] == {"service.name": "FraudDetector"}
    assert arrived["attributes"] == {
        each["key"]: plain(each["value"]) for each in written["attributes"]
    }


def plain(value: dict[str, Any]) -> Any:
    ((kind, held),) = value.items()
    return int(held) if kind == "intValue" else held


def test_what_is_not_otlp_is_counted_and_left_out(receiver: OtlpReceiver, folder: Path) -> None:
    with Worker(folder, receiver.url, one_by_one=True) as worker:
        worker.write(10)
        for bad in (b"\0" * 100, b'{"resourceSpans": [{}]}', b"[]", b"half a li"):
            worker.files.append(bad + b"\n")
        worker.append(span("migration.pair", {"x": {"bytesValue": 3}}))
        unreadable = worker.written.pop()
        worker.write(10)
        assert_all_arrive(receiver, worker)
        assert eventually(lambda: worker.backlog().waiting_bytes == 0)
    assert worker.account.rejected == {"unreadable": 5}
    assert unreadable not in ids(receiver.spans())


def test_each_living_worker_ships_its_own_files_and_each_line_once(
    receiver: OtlpReceiver, folder: Path
) -> None:
    workers = [Worker(folder, receiver.url) for _ in range(3)]
    for _ in range(20):
        for worker in workers:
            worker.write(10)
        time.sleep(0.02)
    for worker in workers:
        worker.close()
    spans = assert_all_arrive(receiver, *workers)
    assert [worker.account.shipped for worker in workers] == [200] * 3
    assert Counter(each["spanId"] for each in spans) == Counter(
        each for worker in workers for each in worker.written
    )


def test_what_was_shipped_is_not_shipped_again_after_a_restart(
    receiver: OtlpReceiver, folder: Path
) -> None:
    with Worker(folder, receiver.url) as first:
        first.write(100)
    assert first.account.shipped == 100  # closing has shipped all
    with Worker(folder, receiver.url) as second:
        second.write(10)
        time.sleep(0.5)
    spans = assert_all_arrive(receiver, first, second)
    assert second.account.shipped == 10
    assert len(spans) == 110


def test_a_position_that_is_none_costs_doubles_and_no_pair(
    receiver: OtlpReceiver, folder: Path
) -> None:
    with Worker(folder, None) as worker:
        worker.write(100)
    (file,) = folder.glob("*.jsonl")
    for position in (b"00000000000000000100\n", b"12", b"\0" * 21, b"later"):
        file.with_name(file.name + POSITION_SUFFIX).write_bytes(position)
        with Worker(folder, receiver.url) as adopter:
            assert eventually(lambda: adopter.account.shipped == 100)
    assert_all_arrive(receiver, worker)


def test_closing_is_bounded_and_leaves_the_rest_to_the_next_worker(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    proxy.fault = Fault.SILENT
    worker = Worker(folder, proxy.url, timeout=30)
    worker.write(100)
    assert eventually(lambda: proxy.asked[Fault.SILENT] > 0)
    began = time.monotonic()
    worker.close(within=0.5)
    assert time.monotonic() - began < 10  # a request may take 30 s
    assert receiver.spans() == []
    proxy.fault = Fault.NONE
    proxy.closing.set()  # the first worker's request ends, and with it its hold on the file
    with Worker(folder, proxy.url):
        assert_all_arrive(receiver, worker)
        assert eventually(lambda: all_shipped(folder))


@pytest.mark.parametrize("down", [True, False])
def test_the_files_of_a_killed_worker_are_shipped_by_another(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path, down: bool
) -> None:
    if down:
        proxy.fault = Fault.UNAVAILABLE
    with Worker(folder, proxy.url) as survivor:
        survivor.write(20)
        written = {*written_until_killed(folder, proxy.url), *survivor.written}
        before = receiver.received(lambda spans: down or written <= ids(spans))
        assert len(before) == len(ids(before)) == (0 if down else 520)
        proxy.fault = Fault.NONE
        assert ids(receiver.received(lambda spans: written <= ids(spans))) == written
        assert eventually(lambda: all_shipped(folder))
    if down:
        assert survivor.account.shipped == 520
    else:  # what was shipped is not again
        assert len(receiver.received(lambda spans: written <= ids(spans))) == 520


def test_several_adopters_share_the_files_of_the_dead(receiver: OtlpReceiver, folder: Path) -> None:
    dead = [Worker(folder, None) for _ in range(12)]
    for worker in dead:
        worker.write(60)
        worker.close()
    (folder / "pairs-empty-00001.jsonl").touch()
    with Worker(folder, receiver.url) as one, Worker(folder, receiver.url) as other:
        spans = assert_all_arrive(receiver, *dead)
        assert eventually(lambda: one.account.shipped + other.account.shipped == 720)
    assert len(spans) == 720


def test_a_file_that_is_removed_while_it_waits_holds_up_nothing(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    proxy.fault = Fault.UNAVAILABLE
    with Worker(folder, None) as dead:
        dead.write(50)
    with Worker(folder, proxy.url) as worker:
        worker.write(50)
        assert eventually(lambda: len(list(folder.glob(f"*{POSITION_SUFFIX}"))) == 2)
        (file,) = folder.glob(f"pairs-{dead.name}-*.jsonl")
        file.unlink()
        proxy.fault = Fault.NONE
        assert_all_arrive(receiver, worker)
        left = f"pairs-{dead.name}*"
        assert eventually(lambda: not list(folder.glob(left)))  # its position file neither


def test_files_go_when_the_folder_is_full_and_those_that_were_shipped_go_first(
    receiver: OtlpReceiver, folder: Path
) -> None:
    with Worker(folder, None) as unshipped:
        unshipped.write(20)
    with Worker(folder, receiver.url, records=FileLimits(compression=None)) as shipped:
        shipped.write(20)
    (older,) = folder.glob(f"pairs-{unshipped.name}-*.jsonl")
    (newer,) = folder.glob(f"pairs-{shipped.name}-*.jsonl")
    # The second worker may have adopted the first one's file and shipped it, or not yet.
    older.with_name(older.name + POSITION_SUFFIX).unlink(missing_ok=True)
    # How many pairs share a line, and so how long a file of them is, depends on the machine.
    most = older.stat().st_size + newer.stat().st_size // 2
    with Worker(folder, None, records=FileLimits(max_bytes=most)) as next_one:
        next_one.write(1)
        assert eventually(lambda: next_one.files.written == 1)
        assert eventually(lambda: not list(folder.glob(f"pairs-{shipped.name}-*")))
        assert older.exists()
    assert next_one.files.dropped == {}
    with Worker(folder, None, records=FileLimits(max_bytes=10)) as last:
        last.write(1)
        assert eventually(lambda: last.files.written == 1)
        assert eventually(lambda: not older.exists())
    assert last.files.dropped == {"pruned": 21}


def test_what_is_compressed_has_been_shipped_and_each_span_once(
    receiver: OtlpReceiver, folder: Path
) -> None:
    """A receiver that is away keeps the files plain; who comes next ships and compresses them."""
    records = FileLimits(flush_interval=0.02, rotate_bytes=300_000)
    with Worker(folder, "http://127.0.0.1:9", records=records) as worker:
        for _ in range(2):  # what waits at the same time goes to one file, however long that gets
            worker.write(350)
            assert eventually(lambda: worker.files.waiting == 0)
    assert {path.suffix for path in folder.glob("pairs-*") if path.is_file()} >= {".jsonl"}
    assert not [*folder.glob("*.zst")]
    with Worker(folder, receiver.url, records=records) as next_one:
        next_one.write(1)
        wanted = {*worker.written, *next_one.written}
        spans = receiver.received(lambda spans: wanted <= ids(spans))
        assert eventually(lambda: len([*folder.glob("*.zst")]) >= 2)
    assert len(spans) == len(wanted) == 701
