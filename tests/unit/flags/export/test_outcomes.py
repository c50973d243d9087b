"""Tracked outcomes: from OpenFeature's call to a record in the pair files, and back."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

import flags
from comparison.engines.parquet import ParquetPairs
from comparison.pairs.compaction.runs import compact
from comparison.pairs.reader import read_all
from comparison.pairs.tracked import TrackedOutcomes
from flags.export.outcomes import OutcomeTracking, use_tracking
from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans, TrackedOutcome
from flags.pairing.unit import unit_hash
from flags.unleash.provider import FlagFile, UnleashProvider
from tests.support.pair_files import PairFile, one_by_one

KEY = b"a key of 16 bytes"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def spans(tmp_path: Path) -> PairSpans:
    return PairSpans.to_folder(tmp_path, FileLimits(flush_interval=0.01), service="s", version=None)


def tracked(folder: Path) -> TrackedOutcomes:
    return read_all(folder).tracked


def rows(found: TrackedOutcomes) -> list[tuple[Any, ...]]:
    columns = ["metric", "value", "request_id", "unit"]
    frame = found.frame[columns].astype(object)
    return [tuple(row) for row in frame.where(frame.notna(), None).to_numpy().tolist()]


def test_an_event_of_open_feature_becomes_a_record_and_no_pair(
    tmp_path: Path, spans: PairSpans
) -> None:
    (tmp_path / "flags.json").write_text('{"version": 2, "features": []}')
    provider = UnleashProvider(FlagFile(tmp_path / "flags.json"))
    provider.track_to(OutcomeTracking(spans, KEY, lambda: "userId"))
    api.set_provider_and_wait(provider, domain="tracking")
    client = api.get_client("tracking")
    context = EvaluationContext("r1", {"userId": "ada"})
    client.track("complaint", context)
    client.track("money_lost", context, TrackingEventDetails(value=12.5))
    client.track("complaint", EvaluationContext("ada", {"requestId": "r2"}))
    spans.close()
    ada = unit_hash(KEY, "ada")
    assert rows(tracked(tmp_path)) == [
        ("complaint", 1.0, "r1", ada),
        ("money_lost", 12.5, "r1", ada),
        ("complaint", 1.0, "r2", None),
    ]
    read = read_all(tmp_path)
    assert (len(read.frame), read.accounting.foreign, read.accounting.corrupt) == (0, 0, 0)
    assert read.accounting.completeness is None


def test_a_sink_that_somebody_chose_stays(tmp_path: Path, spans: PairSpans) -> None:
    seen: list[str] = []
    provider = UnleashProvider(
        FlagFile(tmp_path / "flags.json"), track=lambda name, _context, _details: seen.append(name)
    )
    provider.track_to(OutcomeTracking(spans))
    provider.track("complaint", EvaluationContext("r1"))
    assert seen == ["complaint"]


def test_one_line_records_an_outcome_with_its_time_and_unit(
    tmp_path: Path, spans: PairSpans
) -> None:
    use_tracking(OutcomeTracking(spans, KEY))
    try:
        flags.track("r1", "complaint")
        flags.track(None, "returns", 2, unit="ada", occurred_at=AT)
        flags.track(None, "lost")
        flags.track("r1", "broken", "many")  # type: ignore[arg-type]  # what a caller may do
    finally:
        use_tracking(None)
    spans.close()
    found = tracked(tmp_path)
    assert rows(found) == [
        ("complaint", 1.0, "r1", None),
        ("returns", 2.0, None, unit_hash(KEY, "ada")),
    ]
    assert found.frame["time"].iloc[1] == int(AT.timestamp() * 1e9)


def test_outside_of_a_service_the_records_go_to_files_of_their_own(tmp_path: Path) -> None:
    program = "import flags\nflags.track('r1', 'complaint')\nflags.track('r2', 'complaint', 0.0)\n"
    environment = {"PAIRS_DIR": str(tmp_path / "pairs"), "PATH": ""}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    found = tracked(tmp_path / "pairs")
    assert rows(found) == [("complaint", 1.0, "r1", None), ("complaint", 0.0, "r2", None)]
    assert found.lost == 0


def test_many_threads_number_their_outcomes_without_a_gap(tmp_path: Path, spans: PairSpans) -> None:
    def record() -> None:
        for number in range(50):
            spans.record_outcome(
                TrackedOutcome("a", 1.0, f"r{number}", None, 1_763_880_000 * 10**9)
            )

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans.close()
    found = tracked(tmp_path)
    assert sorted(found.frame["sequence"]) == list(range(1, 201))
    assert found.lost == 0


def test_a_line_that_is_missing_is_a_lost_outcome_and_one_that_is_twice_is_one(
    tmp_path: Path, spans: PairSpans
) -> None:
    for number in range(6):
        spans.record_outcome(TrackedOutcome("a", 1.0, f"r{number}", None, 10**18))
    spans.close()
    (path,) = tmp_path.glob("*.jsonl")
    start, *outcomes, stop = one_by_one(path)
    kept = [start, *outcomes[:2], *outcomes[3:5], outcomes[4], stop]  # without the 3rd, the last
    path.write_text("".join(f"{line}\n" for line in kept))
    found = tracked(tmp_path)
    assert (len(found.frame), found.lost, found.repeated) == (4, 2, 1)


def test_an_outcome_that_says_nothing_is_a_corrupt_line_and_other_lines_are_read(
    tmp_path: Path, spans: PairSpans
) -> None:
    spans.record_outcome(TrackedOutcome("complaint", 1.0, "r1", None, 10**18))
    spans.close()
    (path,) = tmp_path.glob("*.jsonl")
    start, outcome, stop = one_by_one(path)
    wrong = outcome.replace("migration.outcome.metric", "migration.outcome.other")
    path.write_text(f"{start}\n{wrong}\n{outcome}\n{stop}\n")
    read = read_all(tmp_path)
    assert (read.accounting.corrupt, len(read.tracked.frame)) == (1, 1)


def test_compaction_takes_them_over_once(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    file = PairFile(pairs)
    file.start()
    file.pair()
    file.stop()
    spans = PairSpans.to_folder(pairs, FileLimits(flush_interval=0.01), service="s", version=None)
    spans.record_outcome(TrackedOutcome("complaint", 1.0, "worker-1-request-1", None, 10**18))
    spans.record_outcome(TrackedOutcome("complaint", 1.0, "r2", None, 10**18))
    spans.close()
    done = compact(pairs, tmp_path / "compacted")
    assert (done.pairs, done.foreign, done.corrupt) == (1, 0, 0)
    compact(pairs, tmp_path / "compacted")
    found = ParquetPairs(tmp_path / "compacted").tracked()
    assert rows(found) == rows(tracked(pairs))
    assert (len(found.frame), found.lost) == (2, 0)


def test_the_line_is_an_ordinary_span_of_no_trace(tmp_path: Path, spans: PairSpans) -> None:
    spans.record_outcome(TrackedOutcome("complaint", 2.0, "r1", "u" * 16, 10**18))
    spans.close()
    (path,) = tmp_path.glob("*.jsonl")
    (line,) = [each for each in one_by_one(path) if "migration.outcome" in each][:1]
    (span,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["name"], span.get("parentSpanId")) == ("migration.outcome", None)
    assert span["startTimeUnixNano"] == span["endTimeUnixNano"] == str(10**18)
    values = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
    assert values == {
        "migration.outcome.metric": "complaint",
        "migration.outcome.value": 2.0,
        "migration.request.id": "r1",
        "migration.unit": "u" * 16,
        "migration.worker.id": spans.worker,
        "migration.outcome.sequence": "1",
    }
