"""A circuit breaker: after failures in a row, a server gets only single trial calls."""

import time
from collections.abc import Callable
from typing import Final

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 10.0
"""Seconds between two trials; the delay doubles with each failed trial."""


class CircuitBreaker:
    """Refuse calls after `limit` failures in a row, until a trial call succeeds."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures = 0
        self._delay = FIRST_DELAY
        self._next_trial = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether all calls but trials are refused."""
        return self._failures >= self._limit

    def allows(self) -> bool:
        """Say whether a call may be made now; while open, one trial per delay may."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next_trial:
            return False
        self._next_trial = now + self._delay  # does not wait for the result of this trial
        return True

    def succeeded(self) -> None:
        """Record a call that was answered."""
        self._failures = 0
        self._delay = FIRST_DELAY

    def failed(self) -> None:
        """Record a call that was not answered."""
        if self.is_open:
            self._delay = min(2 * self._delay, LONGEST_DELAY)
        self._failures += 1
        if self.is_open:
            self._next_trial = self._clock() + self._delay
