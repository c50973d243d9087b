"""What waits: for the disk, or to be shipped, seen from outside the thread that may be stuck."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flags.export.shipper import Shipper  # those who do not ship need none of it


class Lag:
    """Follow how long the oldest of what waits has waited: for the disk, or for a receiver.

    They go in the order in which they came, so it is enough to remember when some were first seen
    to wait, and how many will have gone once those have. Exact to the time between two looks.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._target = 0

    def __call__(self, waiting: int, written: int) -> float:
        """Return the seconds, from the numbers of what waits and of what has gone."""
        now = self._clock()
        if self._since is None or written >= self._target:
            self._since = now if waiting else None
            self._target = written + waiting
        return 0.0 if self._since is None else now - self._since


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

    def __init__(self, shipper: "Shipper", clock: Callable[[], int] = time.time_ns) -> None:
        self._shipper = shipper
        self._lag = Lag()
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
