"""Counts of the lines that were shipped, rejected or still wait."""

import time
from collections import Counter
from collections.abc import Callable


class ShippingAccount:
    """Counts since the start of this worker; written by the shipper's thread, read by any.

    `shipped` counts lines that the receiver took. `rejected` counts, by reason, those that it
    would not take, or that could not be read; they stay in their files and are not sent again.
    `retries` counts requests that have to be repeated, by reason. `waiting_bytes` is how much of
    the files that this worker ships has not been taken yet.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.shipped = 0
        self.rejected: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.waiting_bytes = 0
        self.oldest: int | None = None
        """When the oldest line ended that is being sent in vain, in Unix nanoseconds."""

    @property
    def age_seconds(self) -> float:
        """Return how old the oldest line is that is being sent, 0 if none is."""
        oldest = self.oldest
        return 0.0 if oldest is None else max(0.0, (self._clock() - oldest) / 1e9)


class Seldom:
    """A limit on repeated log lines: each reason at most once in `seconds`."""

    def __init__(self, seconds: float = 600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, reason: str) -> bool:
        """Say whether `reason` is to be logged now."""
        now = self._clock()
        if now - self._last.get(reason, -self._seconds) < self._seconds:
            return False
        self._last[reason] = now
        return True
