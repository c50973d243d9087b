"""What becomes of the pairs of a real service under load, however its processes end."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from comparison.pairs.reader import read_pairs
from flags.export import attributes
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.flagged_service import Load, Reply
from tests.support.fraud_store import environment
from tests.support.otlp_server import OtlpReceiver
from tests.support.paths import ROOT

FLAG = "scores-v2"
LATEST = 1.0
"""Seconds from an answer to its pair on disk; what `kill -9` may cost."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the pair files."""
    return tmp_path / "pairs"


@contextmanager
def served(folder: Path, workers: int = 2, **settings: str) -> Iterator[Serving]:
    """Serve with a flags file that gives half of the requests to the candidate."""
    base = folder.parent
    write_flags_file(base / "flags.json", FLAG, 50)
    named = {
        "FLAG": FLAG,
        "FLAGS_FILE": str(base / "flags.json"),
        "API_WORKERS": str(workers),
        "PAIRS_DIR": str(folder),
        **settings,
    }
    with Serving(
        "tests.support.services.flagged:Scores",
        environment=environment(base / "bentoml", **named),
        log=base / "service.log",
        folder=ROOT,
    ) as serving:
        yield serving


class Arrivals:
    """Watch the pair files grow: when, at the latest, each request's pair was on disk."""

    def __init__(self, folder: Path) -> None:
        self.seen: dict[str, float] = {}
        self._folder = folder
        self._read: dict[Path, int] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ending.wait(0.02):
            for path in self._folder.glob("*.jsonl"):
                with path.open("rb") as file:
                    file.seek(self._read.get(path, 0))
                    text = file.read()
                    now = time.time()
                whole = text[: text.rfind(b"\n") + 1]
                self._read[path] = self._read.get(path, 0) + len(whole)
                for line in whole.splitlines():
                    self.seen.setdefault(request_id(json.loads(line)), now)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()


def request_id(line: dict[str, Any]) -> str:
    """Return the request id of the span in a line; empty for a worker's record."""
    (span,) = line["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ids = (each for each in span["attributes"] if each["key"] == attributes.REQUEST_ID)
    return next((str(each["value"]["stringValue"]) for each in ids), "")


def answered(replies: list[Reply]) -> set[str]:
    return {reply.request_id for reply in replies if reply.status == 200}


def test_a_pair_is_on_disk_within_a_second_and_a_termination_loses_none(folder: Path) -> None:
    with served(folder) as serving:
        with Arrivals(folder) as arrivals:
            with Load(serving.url) as load:
                time.sleep(4)
            ids = {reply.request_id for reply in load.replies}
            assert eventually(lambda: arrivals.seen.keys() >= ids, 3 * LATEST)
        waits = [arrivals.seen[reply.request_id] - reply.ended for reply in load.replies]
        assert len(waits) > 100
        assert max(waits) <= LATEST
        with Load(serving.url) as load:
            time.sleep(1)
            serving.stop()  # SIGTERM, with requests under way
    pairs = read_pairs(folder)
    accounting = pairs.accounting
    assert accounting.completeness == 1
    assert accounting.torn == accounting.corrupt == 0
    assert len(accounting.workers) == 2
    for worker in accounting.workers:
        assert worker.started
        assert worker.stopped
        assert worker.dropped == worker.missing == 0
    assert len(answered(load.replies)) > 20
    assert answered(load.replies) <= set(pairs.frame["request_id"])


def test_a_killed_worker_costs_its_last_second_and_the_files_say_that_it_was_killed(
    folder: Path,
) -> None:
    with served(folder) as serving, Load(serving.url) as load:
        time.sleep(2)
        victim = load.replies[-1].worker
        assert victim is not None
        killed = time.time()
        os.kill(victim, signal.SIGKILL)
        time.sleep(3)
    assert [reply for reply in load.since(killed + 2) if reply.status == 200]
    pairs = read_pairs(folder)
    workers = pairs.accounting.workers
    (dead,) = (worker for worker in workers if not worker.stopped)
    assert dead.started
    assert dead.dropped == 0
    assert all(worker.missing == 0 for worker in workers)  # what there is has no gap
    assert len([worker for worker in workers if worker.stopped]) >= 1
    lost = answered(load.replies) - set(pairs.frame["request_id"])
    for reply in load.replies:
        if reply.request_id in lost:
            assert reply.worker == victim
            assert reply.ended > killed - LATEST
    victims = [reply for reply in load.replies if reply.worker == victim]
    assert dead.found >= len([reply for reply in victims if reply.ended < killed - LATEST]) > 0


BENTOML_TRACING = {
    "exporter_type": "otlp",
    "sample_rate": "1.0",
    "timeout": "5",
    "otlp.protocol": "http",
}


def test_pairs_reach_a_collector_in_the_traces_of_their_requests(
    folder: Path, receiver: OtlpReceiver
) -> None:
    """BentoML ships its own spans of a request, we ship ours, both to the same receiver."""
    tracing = BENTOML_TRACING | {"otlp.endpoint": f"{receiver.url}/v1/traces"}
    settings = {
        "BENTOML_CONFIG_OPTIONS": " ".join(
            f"services.tracing.{name}={value}" for name, value in tracing.items()
        ),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "PAIRS_SHIP_INTERVAL": "0.2",
        "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds; BentoML's spans
    }
    with served(folder, workers=1, **settings) as serving:
        with Load(serving.url) as load:
            time.sleep(2)
        wanted = answered(load.replies)
        arrived = receiver.received(lambda spans: wanted <= requests(spans).keys())
        assert wanted <= requests(arrived).keys()  # while it runs, not at its end alone
    on_disk = read_pairs(folder).accounting
    assert on_disk.completeness == 1
    spans = receiver.received(lambda spans: len(ours(spans)) == on_disk.lines)
    assert len(ours(spans)) == on_disk.lines  # the closing record is there as well
    theirs = {span["spanId"]: span for span in spans if not is_ours(span)}
    shared = [pair for pair in requests(spans).values() if pair["parentSpanId"] in theirs]
    assert len(shared) > 0.9 * len(wanted)  # BentoML's exporter is not said to lose none
    for pair in shared:
        assert theirs[pair["parentSpanId"]]["traceId"] == pair["traceId"]
        assert "/judge" in theirs[pair["parentSpanId"]]["name"]


def is_ours(span: dict[str, Any]) -> bool:
    return str(span["name"]).startswith("migration.")


def ours(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [span for span in spans if is_ours(span)]


def requests(spans: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the pairs by request id."""
    return {
        span["attributes"][attributes.REQUEST_ID]: span
        for span in spans
        if span["name"] == attributes.PAIR_SPAN
    }
