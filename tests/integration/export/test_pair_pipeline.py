"""What becomes of the pairs of a real service under load, however its processes end."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from comparison.pairs.reader import read_pairs
from flags.export import attributes
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.flagged_service import Load, Reply
from tests.support.fraud_store import environment
from tests.support.otlp_server import OtlpReceiver
from tests.support.pair_files import one_by_one
from tests.support.paths import ROOT

FLAG = "scores-v2"


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


def on_disk(folder: Path) -> dict[str, str]:
    """Return the pairs on whole lines: the worker of each request id."""
    found = {}
    for path in folder.glob("*.jsonl"):
        for line in one_by_one(path):
            told = pair_attributes(json.loads(line))
            if attributes.REQUEST_ID in told:
                found[told[attributes.REQUEST_ID]] = told[attributes.WORKER_ID]
    return found


def pair_attributes(line: dict[str, Any]) -> dict[str, str]:
    """Return the texts among the attributes of the span in a line."""
    (span,) = line["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return {
        each["key"]: each["value"]["stringValue"]
        for each in span["attributes"]
        if "stringValue" in each["value"]
    }


def answered(replies: list[Reply]) -> set[str]:
    return {reply.request_id for reply in replies if reply.status == 200}


def test_a_pair_is_on_disk_while_the_service_runs_and_a_termination_loses_none(
    folder: Path,
) -> None:
    with served(folder) as serving:
        with Load(serving.url) as load:
            assert eventually(lambda: len(answered(load.replies)) > 100, pause=0.05)
        assert eventually(lambda: on_disk(folder).keys() >= answered(load.replies), pause=0.05)
        with Load(serving.url) as load:
            assert eventually(lambda: len(answered(load.replies)) > 20, pause=0.05)
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
    assert answered(load.replies) <= set(pairs.frame["request_id"])


def test_a_killed_worker_costs_what_was_not_on_disk_and_the_files_say_that_it_was_killed(
    folder: Path,
) -> None:
    with served(folder) as serving, Load(serving.url) as load:
        assert eventually(lambda: len(on_disk(folder)) > 100, pause=0.05)
        victim = next(reply.worker for reply in load.replies if reply.worker is not None)
        before = on_disk(folder)
        os.kill(victim, signal.SIGKILL)

        def others() -> set[int | None]:  # None: nobody answered
            return {reply.worker for reply in load.replies} - {victim, None}

        assert eventually(lambda: len(others()) >= 2, pause=0.05)  # another took its place
    pairs = read_pairs(folder)
    workers = pairs.accounting.workers
    (dead,) = (worker for worker in workers if not worker.stopped)
    assert dead.started
    assert dead.dropped == 0
    assert all(worker.missing == 0 for worker in workers)  # what there is has no gap
    assert len([worker for worker in workers if worker.stopped]) >= 2
    assert dead.found >= list(before.values()).count(dead.worker) > 0
    lost = answered(load.replies) - set(pairs.frame["request_id"])
    assert lost.isdisjoint(before)
    assert {reply.worker for reply in load.replies if reply.request_id in lost} <= {victim}


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="no limits of processes here")
def test_what_a_full_disk_refuses_until_the_end_is_known_by_number(folder: Path) -> None:
    """A limit on the size of the worker's files stands for the full disk, which takes root to make.

    With that, the same is a fault of `load_tests/faults.py`.
    """
    with served(folder, workers=1) as serving:
        with Load(serving.url) as load:
            assert eventually(lambda: len(answered(load.replies)) > 100, pause=0.05)
        assert eventually(lambda: on_disk(folder).keys() >= answered(load.replies), pause=0.05)
        (pid,) = {reply.worker for reply in load.replies}
        (file,) = folder.glob("*.jsonl")
        worker = psutil.Process(pid)
        _, most = worker.rlimit(psutil.RLIMIT_FSIZE)
        worker.rlimit(psutil.RLIMIT_FSIZE, (file.stat().st_size, most))
        with Load(serving.url, name="refused") as refused:
            assert eventually(lambda: len(answered(refused.replies)) > 50, pause=0.05)
    assert not refused.failed()  # the primary's callers get their answers all the same
    accounting = read_pairs(folder).accounting
    (record,) = accounting.workers
    taken, lost = len(load.replies), len(refused.replies)
    assert (accounting.found, accounting.expected) == (taken, taken + lost)
    assert record.stopped
    assert record.dropped >= lost
    assert "records are not on disk (efbig" in serving.log.read_text()


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
            assert eventually(lambda: len(answered(load.replies)) > 50, pause=0.05)
        wanted = answered(load.replies)
        arrived = receiver.received(lambda spans: wanted <= requests(spans).keys())
        assert wanted <= requests(arrived).keys()  # while it runs, not at its end alone
    on_disk = read_pairs(folder).accounting
    assert on_disk.completeness == 1
    spans = receiver.received(lambda spans: len(ours(spans)) == on_disk.pairs + 2)
    assert len(ours(spans)) == on_disk.pairs + 2  # the closing record is there as well
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
