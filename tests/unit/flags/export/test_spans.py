"""One pair, one span, with every attribute, whatever the application's own tracing does."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from flags.export.pair_files import FileLimits, PairFiles
from flags.export.spans import PairSpans, pair_attributes
from flags.pairing.assignment import Assignment, Side
from flags.pairing.observation import Content, Observation, Pair, Status
from tests.support.fakes import eventually
from tests.support.pair_files import one_by_one
from tests.support.paths import ROOT

LIMITS = FileLimits(flush_interval=0.01)
STARTED = 1_763_880_000_000_000_000

ASSIGNMENT = Assignment(
    Side.CANDIDATE, "fraud-detector-v2", "split", variant="on", provider="unleash", rollout=10.0
)
PRIMARY = Observation(
    Status.OK,
    scores={"probability": 0.25},
    thresholds={"probability": 0.5},
    decisions={"probability": False},
    duration=0.002,
    model="v1:a",
)
CANDIDATE = Observation(Status.ERROR, duration=0.001, model="v2:b", error="ModelError")


def pair_of(request_id: str = "r1", **others: Any) -> Pair:
    values: dict[str, Any] = {
        "api": "/predict",
        "started": STARTED,
        "ended": STARTED + 5_000_000,
        "assignment": ASSIGNMENT,
        "primary": PRIMARY,
        "candidate": CANDIDATE,
        "served": Side.PRIMARY,
        "fallback": True,
    }
    return Pair(request_id, **{**values, **others})


def test_every_fact_of_a_pair_is_an_attribute() -> None:
    pair = pair_of(segments={"country": "FR"}, features={"amount": 12.5})
    assert pair_attributes(pair, "worker-1", 7) == {
        "feature_flag.key": "fraud-detector-v2",
        "feature_flag.result.reason": "split",
        "feature_flag.result.variant": "on",
        "feature_flag.provider.name": "unleash",
        "feature_flag.context.id": "r1",
        "migration.request.id": "r1",
        "migration.api": "/predict",
        "migration.active": "candidate",
        "migration.served": "primary",
        "migration.fallback": True,
        "migration.rollout": 10.0,
        "migration.worker.id": "worker-1",
        "migration.sequence": 7,
        "migration.primary.status": "ok",
        "migration.primary.duration": 0.002,
        "migration.primary.model": "v1:a",
        "migration.primary.score.probability": 0.25,
        "migration.primary.threshold.probability": 0.5,
        "migration.primary.decision.probability": False,
        "migration.candidate.status": "error",
        "migration.candidate.duration": 0.001,
        "migration.candidate.model": "v2:b",
        "migration.candidate.error": "ModelError",
        "migration.segment.country": "FR",
        "migration.feature.amount": 12.5,
    }


def test_what_a_stream_held_is_there_as_far_as_it_is_known() -> None:
    whole = Observation(Status.OK, content=Content(12, "ab", items=3, first_item=0.25))
    torn = Observation(Status.ERROR, content=Content(4, None, items=1, first_item=0.5))
    attributes = pair_attributes(pair_of(primary=whole, candidate=torn), "worker-1", 7)
    assert {name: value for name, value in attributes.items() if "migration.primary" in name} == {
        "migration.primary.status": "ok",
        "migration.primary.items": 3,
        "migration.primary.length": 12,
        "migration.primary.first_item": 0.25,
        "migration.primary.digest": "ab",
    }
    assert attributes["migration.candidate.items"] == 1
    assert "migration.candidate.digest" not in attributes
    binary = Observation(Status.OK, content=Content(12, "ab"))
    attributes = pair_attributes(pair_of(primary=binary), "worker-1", 7)
    assert attributes["migration.primary.digest"] == "ab"
    assert "migration.primary.items" not in attributes
    assert not [name for name in attributes if name.startswith("migration.candidate.length")]


def test_what_is_unknown_is_absent() -> None:
    shed = Observation(Status.SHED)
    failed = Assignment(
        Side.PRIMARY, "flag", "error", error="flag_not_found", error_message="no such flag"
    )
    pair = pair_of(assignment=failed, candidate=shed, served=None, fallback=False)
    attributes = pair_attributes(pair, "worker-1", 1)
    for absent in ("served", "rollout", "candidate.duration", "candidate.model"):
        assert f"migration.{absent}" not in attributes
    assert "feature_flag.provider.name" not in attributes
    assert attributes["error.type"] == "flag_not_found"
    assert attributes["feature_flag.error.message"] == "no such flag"
    assert not [name for name in attributes if name.startswith("migration.candidate.score")]


def test_numbers_are_python_s_own() -> None:
    """A numpy number would become a string on its way through the SDK."""
    import numpy as np

    seen = Observation(
        Status.OK,
        scores={"p": np.float32(0.5)},  # type: ignore[dict-item]
        thresholds={"p": np.float64(0.25)},
        decisions={"p": np.bool_(True)},  # type: ignore[dict-item]
    )
    attributes = pair_attributes(pair_of(primary=seen, features={"x": np.int64(3)}), "w", 1)
    assert {type(value) for value in attributes.values()} <= {str, bool, int, float}
    assert attributes["migration.primary.decision.p"] is True


@pytest.fixture
def spans(tmp_path: Path) -> Iterator[PairSpans]:
    """Return a record of pairs in the folder `tmp_path`."""
    made = PairSpans.to_folder(tmp_path, LIMITS, service="Fraud Service", version="1.0")
    yield made
    made.close()


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("pairs-*.jsonl"))
        for line in one_by_one(path)
    ]


def spans_of(folder: Path) -> list[dict[str, Any]]:
    return [line["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for line in lines_of(folder)]


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def test_a_worker_s_record_begins_and_ends_with_its_own_spans(
    spans: PairSpans, tmp_path: Path
) -> None:
    for index in range(3):
        spans.record(pair_of(str(index)))
    spans.close()
    start, *pairs, stop = spans_of(tmp_path)
    assert [each["name"] for each in (start, *pairs, stop)] == [
        "migration.worker",
        *["migration.pair"] * 3,
        "migration.worker",
    ]
    assert attributes_of(start)["migration.worker.event"] == "start"
    assert attributes_of(stop) == {
        "migration.worker.id": spans.worker,
        "migration.worker.event": "stop",
        "migration.worker.pairs": "3",
        "migration.worker.dropped": "0",
    }
    assert [attributes_of(each)["migration.sequence"] for each in pairs] == ["1", "2", "3"]
    assert {attributes_of(each)["migration.worker.id"] for each in pairs} == {spans.worker}


def test_a_pair_s_span_has_its_times_and_its_worker_is_named_in_the_resource(
    spans: PairSpans, tmp_path: Path
) -> None:
    spans.record(pair_of())
    spans.close()
    line = lines_of(tmp_path)[1]
    span = line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span["startTimeUnixNano"] == str(STARTED)
    assert span["endTimeUnixNano"] == str(STARTED + 5_000_000)
    resource = attributes_of(line["resourceSpans"][0]["resource"])
    assert resource["service.name"] == "Fraud Service"
    assert resource["service.version"] == "1.0"
    assert resource["service.instance.id"] == spans.worker
    assert {"process.pid", "host.name"} <= set(resource)
    assert line["resourceSpans"][0]["scopeSpans"][0]["scope"]["name"] == "bentoml-flags"
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(f"Z-Fraud-Service-{spans.worker[:8]}-00001.jsonl")


def test_two_workers_never_write_to_the_same_file(tmp_path: Path) -> None:
    workers = [PairSpans.to_folder(tmp_path, LIMITS, service="s", version=None) for _ in range(5)]
    for worker in workers:
        worker.close()
    assert len(list(tmp_path.iterdir())) == 5


def test_what_was_dropped_is_in_the_closing_record(tmp_path: Path) -> None:
    limits = FileLimits(flush_interval=0.2, queue_bytes=4096)
    files = PairFiles(tmp_path, "x", limits)
    spans = PairSpans(files, service="s", version=None, worker="w")
    for index in range(50):
        spans.record(pair_of(str(index)))
    assert eventually(lambda: files.waiting == 0)  # there is room for the closing record
    spans.close()
    *others, stop = spans_of(tmp_path)
    pairs = [each for each in others if each["name"] == "migration.pair"]
    totals = attributes_of(stop)
    assert totals["migration.worker.pairs"] == "50"
    assert int(totals["migration.worker.dropped"]) == 50 - len(pairs) > 0


def test_a_record_is_closed_once_and_a_second_time_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An application may close it, and the end of its process does."""
    spans = PairSpans.to_folder(tmp_path, FileLimits(), service="s", version=None)
    spans.record(pair_of("1"))
    spans.close()
    spans.close()
    assert [each["name"] for each in spans_of(tmp_path)].count("migration.worker") == 2
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def remote_parent(trace_id: int = 0xABC, *, sampled: bool = False) -> otel_context.Context:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else 0)
    return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, 0xDEF, True, flags)))


@pytest.mark.parametrize("sampled", [True, False])
def test_the_request_s_span_is_the_parent_and_its_sampling_does_not_matter(
    spans: PairSpans, tmp_path: Path, sampled: bool
) -> None:
    spans.record(pair_of(parent=remote_parent(sampled=sampled)))
    spans.close()
    span = spans_of(tmp_path)[1]
    assert span["traceId"] == f"{0xABC:032x}"
    assert span["parentSpanId"] == f"{0xDEF:016x}"
    assert span["flags"] & 1


def test_an_unsampled_span_of_the_application_is_a_parent_all_the_same(
    spans: PairSpans, tmp_path: Path
) -> None:
    """BentoML's own tracer provider samples nothing by default."""
    tracer = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False).get_tracer("x")
    with tracer.start_as_current_span("request") as request:
        spans.record(pair_of(parent=otel_context.get_current()))
        trace_id = request.get_span_context().trace_id
    spans.close()
    assert spans_of(tmp_path)[1]["traceId"] == f"{trace_id:032x}"


def test_the_pair_s_span_is_never_the_current_one(spans: PairSpans) -> None:
    """Its sampled flag would travel with every call that the request still makes."""
    before = trace.get_current_span()
    spans.record(pair_of(parent=remote_parent()))
    assert trace.get_current_span() is before


def test_no_variable_for_the_application_s_tracing_cuts_or_drops_a_pair(tmp_path: Path) -> None:
    """In a process of its own, because the SDK reads these variables when it is imported."""
    script = (
        "from pathlib import Path\n"
        "from tests.unit.flags.export.test_spans import LIMITS, pair_of\n"
        "from flags.export.spans import PairSpans\n"
        f"spans = PairSpans.to_folder(Path({str(tmp_path)!r}), LIMITS, service='s', version=None)\n"
        "spans.record(pair_of('r' * 100, segments={str(i): 'x' * 50 for i in range(200)}))\n"
        "spans.close()\n"
    )
    variables = {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "2",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
        "OTEL_TRACES_SAMPLER": "always_off",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-c", script], env=variables, check=True, timeout=60)
    attributes = attributes_of(spans_of(tmp_path)[1])
    assert attributes["migration.request.id"] == "r" * 100
    assert sum(name.startswith("migration.segment.") for name in attributes) == 200
    assert attributes["migration.segment.7"] == "x" * 50


def test_a_sdk_that_is_switched_off_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with caplog.at_level(logging.WARNING):
        spans = PairSpans(PairFiles(tmp_path, "x", LIMITS), service="s", version=None, worker="w")
    spans.record(pair_of())
    spans.close()
    assert "OTEL_SDK_DISABLED is set: no pair is recorded" in caplog.text
