"""Measure what waits to be shipped, from outside the thread that ships and may be stuck."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flags.export.shipper import Shipper
from flags.monitoring.self_report import Lag


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waited at one look."""

    waiting_bytes: int = 0
    """Of the files that this worker ships: not taken by the receiver."""
    lag_seconds: float = 0.0
    """How long the oldest of them has waited: since its pair ended if that is known, else since it
    was first seen to wait."""


class BacklogWatch:
    """Look at the files themselves, once a heartbeat."""

    def __init__(self, shipper: Shipper, lag: Lag, clock: Callable[[], int] = time.time_ns) -> None:
        self._shipper = shipper
        self._lag = lag
        self._clock = clock

    def __call__(self) -> Backlog:
        """Look now; raises OSError where the folder cannot be read."""
        waiting = self._shipper.waiting_bytes()
        seen = self._lag(waiting, self._shipper.shipped_bytes)
        if not waiting:
            return Backlog()
        oldest = self._shipper.oldest
        return Backlog(
            waiting, max(seen, 0.0 if oldest is None else (self._clock() - oldest) / 1e9)
        )
