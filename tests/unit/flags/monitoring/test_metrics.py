"""What each pair and each heartbeat do to the series on /metrics."""

import math
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from flags.monitoring import metrics
from flags.monitoring.candidate_metrics import CANDIDATE_STATE
from flags.monitoring.metrics import CountedPairs, WorkerMetrics
from flags.monitoring.worker_state import CandidateState
from flags.pairing.assignment import Assignment, Side
from flags.pairing.observation import InMemoryPairs, Observation, Pair, Status
from flags.serving.remote.link import LinkState
from flags.unleash.freshness import State
from tests.support.fakes import RefusingSink
from tests.support.paths import ROOT
from tests.support.worker_states import NOON, worker_flag, worker_state

Value = Callable[..., float | None]

PAIR = Pair(
    request_id="r1",
    api="predict",
    started=1,
    ended=2,
    assignment=Assignment(Side.PRIMARY, "flag", "split"),
    primary=Observation(Status.OK, duration=0.002),
    candidate=Observation(Status.SHED),
    served=Side.PRIMARY,
)


@pytest.fixture
def flag() -> str:
    """Return a flag whose series no other test touches: they last as long as the process."""
    return f"flag-{uuid.uuid4()}"


@pytest.fixture
def counts(flag: str) -> WorkerMetrics:
    return WorkerMetrics(flag)


@pytest.fixture
def value(flag: str, counts: WorkerMetrics) -> Value:
    """Return a way to read a series of this test's flag, as it is after a heartbeat."""

    def read(name: str, **labels: str) -> float | None:
        counts.settle()
        return REGISTRY.get_sample_value(name, {"flag": flag, **labels})

    return read


def test_a_pair_is_counted_once_and_each_side_once(counts: WorkerMetrics, value: Value) -> None:
    counts.count(PAIR)
    assert value(metrics.PAIRS) == 1
    assert value(metrics.OBSERVATIONS, side="primary", status="ok") == 1
    assert value(metrics.OBSERVATIONS, side="candidate", status="shed") == 1
    assert value(metrics.OBSERVATIONS, side="candidate", status="ok") == 0
    assert value(metrics.ASSIGNMENTS, side="primary", reason="split") == 1
    assert value(metrics.ANSWERS, side="primary") == 1
    assert value(metrics.ANSWERS, side="candidate") == 0
    assert value(metrics.FALLBACKS) == 0


def test_counts_are_carried_over_once(counts: WorkerMetrics, flag: str) -> None:
    for _ in range(3):
        counts.count(PAIR)
    assert REGISTRY.get_sample_value(metrics.PAIRS, {"flag": flag}) == 0
    counts.settle()
    counts.settle()
    assert REGISTRY.get_sample_value(metrics.PAIRS, {"flag": flag}) == 3


def test_durations_are_those_of_the_sides_that_ran(counts: WorkerMetrics, value: Value) -> None:
    counts.count(PAIR)
    bucket = f"{metrics.DURATION}_bucket"
    assert value(bucket, side="primary", le="0.001") == 0
    assert value(bucket, side="primary", le="0.0025") == 1
    assert value(f"{metrics.DURATION}_sum", side="primary") == pytest.approx(0.002)
    assert value(f"{metrics.DURATION}_count", side="candidate") == 0


def test_a_fallback_is_an_answer_of_the_primary_though_the_candidate_was_active(
    counts: WorkerMetrics, value: Value
) -> None:
    counts.count(
        replace(
            PAIR,
            assignment=Assignment(Side.CANDIDATE, "flag", "static"),
            candidate=Observation(Status.TIMEOUT, duration=1.0),
            fallback=True,
        )
    )
    assert value(metrics.ASSIGNMENTS, side="candidate", reason="static") == 1
    assert value(metrics.ANSWERS, side="primary") == 1
    assert value(metrics.FALLBACKS) == 1
    assert value(metrics.OBSERVATIONS, side="candidate", status="timeout") == 1


def test_a_pair_without_an_answer_is_none(counts: WorkerMetrics, value: Value) -> None:
    counts.count(replace(PAIR, served=None))
    assert value(metrics.PAIRS) == 1
    assert value(metrics.ANSWERS, side="primary") == value(metrics.ANSWERS, side="candidate") == 0


def test_reasons_that_a_foreign_provider_makes_up_share_one_series(
    counts: WorkerMetrics, value: Value
) -> None:
    for reason in ("because", "why not", ""):
        counts.count(replace(PAIR, assignment=Assignment(Side.PRIMARY, "flag", reason)))
    counts.drop("EWEIRD", 7)
    assert value(metrics.ASSIGNMENTS, side="primary", reason="other") == 3
    assert value(metrics.DROPPED, reason="other") == 7


def test_dropped_pairs_are_counted_by_reason(counts: WorkerMetrics, value: Value) -> None:
    counts.drop("queue_full", 3)
    counts.drop("enospc", 2)
    counts.drop("queue_full", 1)
    assert value(metrics.DROPPED, reason="queue_full") == 4
    assert value(metrics.DROPPED, reason="enospc") == 2


def test_every_series_is_there_from_the_start_so_that_rates_and_full_disks_are_not_a_surprise(
    flag: str,
) -> None:
    counted = WorkerMetrics(flag)

    def series() -> set[str]:
        text = generate_latest(REGISTRY).decode()
        return {line.rpartition(" ")[0] for line in text.splitlines() if flag in line}

    before = series()
    for side in Side:
        for status in Status:
            seen = {side.value: Observation(status, duration=0.1)}
            counted.count(
                replace(
                    PAIR,
                    assignment=Assignment(side, "flag", "stale"),
                    served=side,
                    fallback=True,
                    **seen,  # type: ignore[arg-type]
                )
            )
    counted.settle()
    for reason in (*metrics.DROP_REASONS, "unheard of"):
        counted.drop(reason, 1)
    for state in (*State, "error", "odd"):
        counted.show(worker_state(flag=worker_flag(state=str(state))))
    assert series() == before


@pytest.mark.parametrize("state", [*State, "error", "fatal"])
def test_a_worker_counts_in_the_state_that_its_provider_is_in(
    counts: WorkerMetrics, value: Value, state: str
) -> None:
    counts.show(worker_state(flag=worker_flag(state="stale")))
    counts.show(worker_state(flag=worker_flag(state=str(state))))
    found = {name: value(metrics.PROVIDER_STATE, state=name) for name in metrics.STATES}
    assert found == {name: float(name == state) for name in metrics.STATES}


@pytest.mark.parametrize("state", [*LinkState, "failing"])
def test_a_worker_counts_in_the_state_that_its_candidate_elsewhere_is_in(
    counts: WorkerMetrics, value: Value, state: str
) -> None:
    series = state.replace(" ", "_")
    assert value(CANDIDATE_STATE, state=series) == 0
    for shown, expected in ((state, 1), ("ready", int(state == "ready"))):
        candidate = CandidateState("http://v2:3000", shown, "v2")
        counts.show(worker_state(candidate=candidate))
        assert value(CANDIDATE_STATE, state=series) == expected


@pytest.mark.parametrize(
    ("seen", "ratio"),
    [
        (worker_flag(rollout=10.0), 0.1),
        (worker_flag(rollout=100.0), 1.0),
        (worker_flag(rollout=100.0, enabled=False), 0.0),
        (worker_flag(rollout=None), math.nan),
        (worker_flag(rollout=None, enabled=None), math.nan),
    ],
)
def test_the_rollout_is_what_counts_of_it(
    counts: WorkerMetrics, value: Value, seen: Any, ratio: float
) -> None:
    counts.show(worker_state(flag=worker_flag(rollout=50.0)))
    counts.show(worker_state(flag=seen))
    assert value(metrics.ROLLOUT) == pytest.approx(ratio, nan_ok=True)


def test_the_last_good_fetch_is_a_time_not_an_age(counts: WorkerMetrics, value: Value) -> None:
    counts.show(worker_state(flag=worker_flag(age_seconds=90.0)))
    assert value(metrics.LAST_SUCCESS) == pytest.approx(NOON.timestamp() - 90)
    counts.show(worker_state(flag=worker_flag(age_seconds=None)))
    assert value(metrics.LAST_SUCCESS) == pytest.approx(NOON.timestamp() - 90)


def test_what_waits_for_the_disk_is_shown(counts: WorkerMetrics, value: Value) -> None:
    waiting = replace(worker_state().pairs, waiting=12, lag_seconds=3.5)
    counts.show(worker_state(pairs=waiting))
    assert value(metrics.WAITING) == 12
    assert value(metrics.LAG) == 3.5


def test_counted_pairs_reach_their_sink(counts: WorkerMetrics, value: Value) -> None:
    sink = InMemoryPairs()
    counted = CountedPairs(sink, counts)
    counted.record(PAIR)
    counted.record(PAIR)
    assert sink.pairs == [PAIR, PAIR]
    assert counted.recorded == value(metrics.PAIRS) == 2


def test_counting_that_fails_costs_no_pair_and_is_told_once(
    counts: WorkerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    sink = InMemoryPairs()
    counted = CountedPairs(sink, counts)
    impossible = replace(PAIR, primary=Observation("unheard of"))  # type: ignore[arg-type]
    for _ in range(3):
        counted.record(impossible)
    assert len(sink.pairs) == 3
    assert len(caplog.records) == 1
    assert "cannot be counted" in caplog.text


def test_a_pair_that_cannot_be_recorded_is_counted_as_dropped(
    counts: WorkerMetrics, value: Value
) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        CountedPairs(RefusingSink(), counts).record(PAIR)
    assert value(metrics.DROPPED, reason="record_failed") == 1


def test_a_drop_that_cannot_be_counted_does_not_stop_the_thread_that_writes(
    counts: WorkerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    counts.drop("queue_full", -1)  # counters only go up
    assert "could not be counted" in caplog.text


def test_names_follow_the_conventions_of_prometheus() -> None:
    names = {name: text for name, text in vars(metrics).items() if str(text).startswith("bento")}
    assert len(names) == 12
    for name in names.values():
        assert name.startswith("bentoml_flags_")
        assert name.endswith(("_total", "_seconds", "_ratio", "_waiting", "_state"))


def test_forgetting_outside_of_multiprocess_mode_is_nothing(
    counts: WorkerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    counts.forget(os.getpid())


def in_multiprocess_mode(folder: Path, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    return done.stdout


SHOW = """
import os, sys
from flags.monitoring.metrics import WorkerMetrics
from tests.unit.flags.monitoring.test_metrics import PAIR
from tests.support.worker_states import worker_flag, worker_state
metrics = WorkerMetrics("flag")
metrics.count(PAIR)
metrics.settle()
metrics.show(worker_state(flag=worker_flag(state="ready", age_seconds={age}, rollout={rollout})))
print(os.getpid())
"""

COLLECT = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from flags.monitoring.metrics import WorkerMetrics
if {forgotten}:
    WorkerMetrics("other").forget({forgotten})
    WorkerMetrics("other").forget({forgotten})
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_over_several_workers_counts_add_up_and_gauges_are_those_of_the_living(
    tmp_path: Path,
) -> None:
    first = in_multiprocess_mode(tmp_path, SHOW.format(age=5, rollout=10)).strip()
    second = in_multiprocess_mode(tmp_path, SHOW.format(age=60, rollout=25)).strip()
    both = samples(in_multiprocess_mode(tmp_path, COLLECT.format(forgotten=0)))
    assert both[f'{metrics.PAIRS}{{flag="flag"}}'] == 2
    assert both[f'{metrics.PROVIDER_STATE}{{flag="flag",state="ready"}}'] == 2
    assert both[f'{metrics.ROLLOUT}{{flag="flag",pid="{first}"}}'] == 0.1
    assert both[f'{metrics.ROLLOUT}{{flag="flag",pid="{second}"}}'] == 0.25
    assert both[f'{metrics.LAST_SUCCESS}{{flag="flag"}}'] == NOON.timestamp() - 60
    one = samples(in_multiprocess_mode(tmp_path, COLLECT.format(forgotten=first)))
    assert one[f'{metrics.PAIRS}{{flag="flag"}}'] == 2
    assert one[f'{metrics.PROVIDER_STATE}{{flag="flag",state="ready"}}'] == 1
    assert not any(f'pid="{first}"' in name for name in one)


def samples(text: str) -> dict[str, float]:
    """Return the samples of an exposition by name and labels."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#"]
    return {name: float(number) for name, _, number in lines}


def test_importing_the_plugin_does_not_decide_the_mode_of_prometheus() -> None:
    program = (
        "import sys, flags.serving.migrate, flags.monitoring.metrics; "
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
