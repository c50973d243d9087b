"""Metrics of pairs and of the freshness of flags, on BentoML's /metrics.

`prometheus_client` is imported later than this module, by the running worker, because it decides at
its first import whether it counts for one process or for several, as BentoML does.
"""

import functools
import logging
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from openfeature.flag_evaluation import Reason

from flags.export.closed_files import PRUNED
from flags.export.pair_files import CLOSED, QUEUE_FULL
from flags.monitoring.candidate_metrics import CandidateMetrics
from flags.monitoring.recent_counts import RecentPairs
from flags.monitoring.worker_state import WorkerState
from flags.pairing.assignment import Side
from flags.pairing.observation import Pair, PairSink, Status
from flags.unleash.freshness import State

if TYPE_CHECKING:
    import prometheus_client as prometheus

    from flags.monitoring.shipping_metrics import ShippingMetrics

logger = logging.getLogger(__name__)

PAIRS: Final = "bentoml_flags_pairs_total"
DROPPED: Final = "bentoml_flags_pairs_dropped_total"
WAITING: Final = "bentoml_flags_pairs_waiting"
LAG: Final = "bentoml_flags_pairs_lag_seconds"
OBSERVATIONS: Final = "bentoml_flags_observations_total"
DURATION: Final = "bentoml_flags_duration_seconds"
ASSIGNMENTS: Final = "bentoml_flags_assignments_total"
ANSWERS: Final = "bentoml_flags_answers_total"
FALLBACKS: Final = "bentoml_flags_fallbacks_total"
PROVIDER_STATE: Final = "bentoml_flags_provider_state"
ROLLOUT: Final = "bentoml_flags_rollout_ratio"
LAST_SUCCESS: Final = "bentoml_flags_fetch_last_success_timestamp_seconds"

OTHER: Final = "other"
"""Label value for everything that has no series of its own."""

RECORD_FAILED: Final = "record_failed"
"""Reason of dropped pairs: they could not be encoded."""

REASONS: Final = (*(reason.value.lower() for reason in Reason), OTHER)
STATES: Final = (*State, "error", "fatal", OTHER)
"""States of our provider, and OpenFeature's further states of other providers."""
DROP_REASONS: Final = (
    *(QUEUE_FULL, PRUNED, CLOSED, RECORD_FAILED),
    *("enospc", "erofs", "eacces", "enoent", "eio", "edquot"),
    *("eperm", "eexist", "enotdir", "efbig"),
    OTHER,
)

BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds in seconds: from the 0.5 ms of a tabular model to BentoML's time limit."""


class WorkerMetrics:
    """The series of one flag in this worker process.

    All are created at the start with 0, because rates need it. In multiprocess mode, creating a
    series writes to a memory-mapped file, which later could kill the process (SIGBUS) if the disk
    is full.
    """

    def __init__(self, flag: str) -> None:
        families = _families()
        self._pairs = families.pairs.labels(flag)
        self._fallbacks = families.fallbacks.labels(flag)
        self._answers = {side: families.answers.labels(flag, side) for side in Side}
        self._durations = {side: families.durations.labels(flag, side) for side in Side}
        self._observations = {
            (side, status): families.observations.labels(flag, side, status)
            for side in Side
            for status in Status
        }
        self._assignments = {
            (side, reason): families.assignments.labels(flag, side, reason)
            for side in Side
            for reason in REASONS
        }
        self._dropped = {reason: families.dropped.labels(flag, reason) for reason in DROP_REASONS}
        self._states = {state: families.state.labels(flag, state) for state in STATES}
        self._waiting = families.waiting.labels(flag)
        self._lag = families.lag.labels(flag)
        self._rollout = families.rollout.labels(flag)
        self._rollout.set(float("nan"))
        self._last_success = families.last_success.labels(flag)
        self._candidate = CandidateMetrics(flag)
        self._due: Counter[prometheus.Counter] = Counter()
        self._flag = flag
        self._shipping: ShippingMetrics | None = None

    def count(self, pair: Pair) -> None:
        """Count one pair, its observations and its answer; `settle` adds them to the series."""
        due = self._due
        due[self._pairs] += 1
        for side, seen in ((Side.PRIMARY, pair.primary), (Side.CANDIDATE, pair.candidate)):
            due[self._observations[side, seen.status]] += 1
            if seen.duration is not None:
                self._durations[side].observe(seen.duration)
        active = pair.assignment.active
        series = self._assignments.get((active, pair.assignment.reason))
        due[series or self._assignments[active, OTHER]] += 1
        if pair.served is not None:
            due[self._answers[pair.served]] += 1
        if pair.fallback:
            due[self._fallbacks] += 1

    def settle(self) -> None:
        """Add the counts to the series, at each heartbeat; on the event loop, like `count`.

        A counter in a memory-mapped file takes over a microsecond, one in a dict a tenth of that,
        and each pair changes seven.
        """
        due, self._due = self._due, Counter()
        for series, times in due.items():
            series.inc(times)

    def drop(self, reason: str, count: int) -> None:
        """Count pairs that were not written or were removed from disk; never raises."""
        try:
            self._dropped.get(reason, self._dropped[OTHER]).inc(count)
        except Exception:  # the thread that writes pairs must go on
            logger.exception("%d dropped pairs (%s) could not be counted", count, reason)

    def show(self, state: WorkerState) -> None:
        """Set all gauges to `state`."""
        flag = state.flag
        current = flag.state if flag.state in self._states else OTHER
        for name, gauge in self._states.items():
            gauge.set(1 if name == current else 0)
        if flag.enabled is None or flag.rollout is None:
            self._rollout.set(float("nan"))
        else:
            self._rollout.set(flag.rollout / 100 if flag.enabled else 0.0)
        if flag.age_seconds is not None:
            self._last_success.set(state.heartbeat.timestamp() - flag.age_seconds)
        self._waiting.set(state.pairs.waiting)
        self._lag.set(state.pairs.lag_seconds)
        if state.candidate is not None:
            self._candidate.show(state.candidate)
        if state.shipping is not None:
            self._shipping = self._shipping or self._new_shipping()
            self._shipping.show(state.shipping)

    def _new_shipping(self) -> "ShippingMetrics":
        # Imported only by workers that ship: it imports protobuf.
        from flags.monitoring.shipping_metrics import ShippingMetrics

        return ShippingMetrics(self._flag)

    def forget(self, pid: int) -> None:
        """Remove the gauges of a worker process that has ended; its counters stay."""
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return
        from prometheus_client.multiprocess import mark_process_dead

        try:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except FileNotFoundError:
            logger.debug("another worker has removed the gauges of process %d", pid)


class CountedPairs:
    """A sink that counts each pair and passes it on to `sink`; errors of counting cost no pair."""

    def __init__(
        self, sink: PairSink, metrics: WorkerMetrics, recent: RecentPairs | None = None
    ) -> None:
        self._sink = sink
        self._metrics = metrics
        self._recent = recent
        self._failing = False
        self.recorded = 0

    def record(self, pair: Pair) -> None:
        """Count `pair` and record it."""
        self.recorded += 1
        try:
            self._metrics.count(pair)
            if self._recent is not None:
                self._recent.count(pair)
            self._failing = False
        except Exception:
            if not self._failing:
                logger.exception("pairs cannot be counted on /metrics; they are recorded")
            self._failing = True
        try:
            self._sink.record(pair)
        except Exception:
            self._metrics.drop(RECORD_FAILED, 1)
            raise


@dataclass(frozen=True, slots=True)
class _Families:
    """All metrics of this module, without label values."""

    pairs: "prometheus.Counter"
    dropped: "prometheus.Counter"
    waiting: "prometheus.Gauge"
    lag: "prometheus.Gauge"
    observations: "prometheus.Counter"
    durations: "prometheus.Histogram"
    assignments: "prometheus.Counter"
    answers: "prometheus.Counter"
    fallbacks: "prometheus.Counter"
    state: "prometheus.Gauge"
    rollout: "prometheus.Gauge"
    last_success: "prometheus.Gauge"


@functools.cache
def _families() -> _Families:
    """Register the metrics, once in a process.

    The mode of a gauge determines how the workers' values are combined: sum, worst, or one each.
    """
    import prometheus_client as prometheus

    return _Families(
        pairs=prometheus.Counter(PAIRS, "Pairs made: one per accepted request.", ["flag"]),
        dropped=prometheus.Counter(
            DROPPED, "Pairs that are not, or no more, on disk, by reason.", ["flag", "reason"]
        ),
        waiting=prometheus.Gauge(
            WAITING,
            "Pairs in memory that are not on disk yet.",
            ["flag"],
            multiprocess_mode="livesum",
        ),
        lag=prometheus.Gauge(
            LAG,
            "Seconds that the oldest pair not on disk yet has waited; the worst worker's.",
            ["flag"],
            multiprocess_mode="livemax",
        ),
        observations=prometheus.Counter(
            OBSERVATIONS,
            "Observations, two per pair: how each side fared.",
            ["flag", "side", "status"],
        ),
        durations=prometheus.Histogram(
            DURATION,
            "Seconds from the start of a side's call to its answer.",
            ["flag", "side"],
            buckets=BUCKETS,
        ),
        assignments=prometheus.Counter(
            ASSIGNMENTS,
            "Requests by the side that the flag made active, and its reason.",
            ["flag", "side", "reason"],
        ),
        answers=prometheus.Counter(
            ANSWERS, "Answers by the side that they came from.", ["flag", "side"]
        ),
        fallbacks=prometheus.Counter(
            FALLBACKS,
            "Answers of the primary in place of an active candidate that failed.",
            ["flag"],
        ),
        state=prometheus.Gauge(
            PROVIDER_STATE,
            "Number of workers whose flag provider is in this state.",
            ["flag", "state"],
            multiprocess_mode="livesum",
        ),
        rollout=prometheus.Gauge(
            ROLLOUT,
            "Share of requests that the flag gives to the candidate, as each worker sees it; "
            "0 when it is off, NaN if unknown.",
            ["flag"],
            multiprocess_mode="liveall",
        ),
        last_success=prometheus.Gauge(
            LAST_SUCCESS,
            "Unix time at which the flag source last confirmed the flags, or of the start; "
            "the oldest worker's.",
            ["flag"],
            multiprocess_mode="livemin",
        ),
    )
