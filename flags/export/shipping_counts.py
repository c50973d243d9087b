"""Counts of shipped and rejected spans, and a limit on repeated log lines."""

import time
from collections import Counter
from collections.abc import Callable


class ShippingAccount:
    """Counts since the start of this worker; written by the shipper's thread, read by any.

    `shipped` counts spans that the receiver accepted. `rejected` counts, by reason, spans that it
    did not accept and lines that could not be read; they stay in their files and are not sent
    again. `retries` counts requests that have to be repeated, by reason.
    """

    def __init__(self) -> None:
        self.shipped = 0
        self.rejected: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()


class LogLimit:
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
