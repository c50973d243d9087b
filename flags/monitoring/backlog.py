"""The backlog of pairs that are not shipped yet, measured outside of the thread that ships."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flags.export.shipper import Shipper  # not imported by workers that do not ship


class Lag:
    """The waiting time of the oldest item of a first-in-first-out queue, by counts alone.

    `_since` is the time when waiting items were first seen; they have all left the queue when the
    number of written items reaches `_target`. Exact to the time between two calls.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._target = 0

    def __call__(self, waiting: int, written: int) -> float:
        """Return the seconds, by the numbers of waiting and of written items (or bytes)."""
        now = self._clock()
        if self._since is None or written >= self._target:
            self._since = now if waiting else None
            self._target = written + waiting
        return 0.0 if self._since is None else now - self._since


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of shipping at one moment."""

    waiting_bytes: int = 0
    """Bytes of this worker's files that the receiver has not accepted."""
    lag_seconds: float = 0.0
    """Waiting time of the oldest of them: since its pair ended if that is known, else since it was
    first seen waiting."""


class BacklogWatch:
    """A function that measures the backlog by the files themselves, at each heartbeat."""

    def __init__(self, shipper: "Shipper", clock: Callable[[], int] = time.time_ns) -> None:
        self._shipper = shipper
        self._lag = Lag()
        self._clock = clock

    def __call__(self) -> Backlog:
        """Return the current backlog. Raises OSError if the folder cannot be read."""
        waiting = self._shipper.waiting_bytes()
        seen = self._lag(waiting, self._shipper.shipped_bytes)
        if not waiting:
            return Backlog()
        oldest = self._shipper.oldest
        return Backlog(
            waiting, max(seen, 0.0 if oldest is None else (self._clock() - oldest) / 1e9)
        )
