"""Exponential backoff with jitter: the wait grows with each failure in a row."""

import random
import time
from collections.abc import Callable
from typing import Final

_FIRST: Final = 0.5
"""Seconds after the first failure."""


class Backoff:
    """The wait before something is tried again: doubled each time, up to `longest` seconds."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._next = min(_FIRST, longest)
        self._until = 0.0

    @property
    def left(self) -> float:
        """Return the seconds that are left to wait."""
        return max(0.0, self._until - self._clock())

    def failed(self, at_least: float = 0.0) -> None:
        """Wait anew, longer than last time; `at_least` is what the other side has asked for."""
        # From half the wait on: workers that failed together do not all come back together.
        wait = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next = min(2 * self._next, self._longest)
        self._until = self._clock() + max(at_least, wait)

    def succeeded(self) -> None:
        """Wait no more."""
        self._next = min(_FIRST, self._longest)
        self._until = 0.0
