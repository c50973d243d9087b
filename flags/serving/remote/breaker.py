"""A circuit breaker: after failures in a row, a server is left alone but for single trials."""

import time
from collections.abc import Callable
from typing import Final

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 10.0
"""Seconds between two trials; the delay doubles with each that fails."""


class CircuitBreaker:
    """Refuse calls after `limit` failures in a row, until one of the trials succeeds."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures = 0
        self._delay = FIRST_DELAY
        self._next_trial = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether calls are refused, trials apart."""
        return self._failures >= self._limit

    def allows(self) -> bool:
        """Say whether a call may be made: while open, one per delay may, as a trial."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next_trial:
            return False
        self._next_trial = now + self._delay  # whatever becomes of the trial, and whenever
        return True

    def succeeded(self) -> None:
        """Note a call that was answered."""
        self._failures = 0
        self._delay = FIRST_DELAY

    def failed(self) -> None:
        """Note a call that was not."""
        if self.is_open:
            self._delay = min(2 * self._delay, LONGEST_DELAY)
        self._failures += 1
        if self.is_open:
            self._next_trial = self._clock() + self._delay
