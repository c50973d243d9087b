"""The metric of a candidate in another deployment or environment: whether it is called."""

import functools
from typing import TYPE_CHECKING, Final

from flags.monitoring.worker_state import CandidateState

if TYPE_CHECKING:
    import prometheus_client as prometheus

CANDIDATE_STATE: Final = "bentoml_flags_candidate_state"

STATES: Final = ("ready", "away", "other_schema", "failing", "unchecked")
"""States of `CandidateState`; in all but `ready` the candidate is not called."""


class CandidateMetrics:
    """The series of one flag's candidate in this worker process, all created with 0.

    They stay 0 if the candidate runs in the worker, or in a process with the worker's libraries.
    """

    def __init__(self, flag: str) -> None:
        family = candidate_family()
        self._states = {state: family.labels(flag, state) for state in STATES}

    def show(self, candidate: CandidateState) -> None:
        """Set the gauges to the state of `candidate`."""
        current = candidate.state.replace(" ", "_")
        for state, gauge in self._states.items():
            gauge.set(1 if state == current else 0)


@functools.cache
def candidate_family() -> "prometheus.Gauge":
    """Register the metric, once in a process."""
    import prometheus_client as prometheus

    return prometheus.Gauge(
        CANDIDATE_STATE,
        "Number of workers whose candidate, one elsewhere, is in this state; only a ready one is "
        "called.",
        ["flag", "state"],
        multiprocess_mode="livesum",
    )
