"""Build what workers say of themselves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flags.monitoring.worker_state import PairCounts, WorkerFlag, Workers, WorkerState, here

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def worker_flag(**others: Any) -> WorkerFlag:
    """Return what a worker believes that sees the flag at 10 %."""
    seen = WorkerFlag(
        "fraud-detector-v2",
        "unleash",
        "ready",
        source="http://127.0.0.1:4242/api",
        enabled=True,
        rollout=10.0,
        stickiness="requestId",
        age_seconds=0.5,
    )
    return replace(seen, **others)


def worker_state(
    worker: str = "w1", *, flag: WorkerFlag | None = None, silence: float = 0.0, **others: Any
) -> WorkerState:
    """Return the state of a worker that is this process, at noon or some seconds before."""
    host, pid, namespace = here()
    state = WorkerState(
        worker=worker,
        service="FraudDetector",
        host=host,
        pid=pid,
        started=NOON - timedelta(hours=1),
        heartbeat=NOON - timedelta(seconds=silence),
        flag=flag or worker_flag(),
        pairs=PairCounts(recorded=213),
        pid_namespace=namespace,
    )
    return replace(state, **others)


def workers(*states: WorkerState) -> Workers:
    """Return what a service says of its workers at noon."""
    return Workers("FraudDetector", "fraud-detector-v2", NOON, states)
