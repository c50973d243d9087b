"""Exponential backoff with jitter: the wait grows with each failure in a row."""

import random
import time
from collections.abc import Callable
from typing import Final

_FIRST: Final = 0.5
"""Seconds after the first failure."""


class Backoff:
    """The wait before the next try: doubled after each failure, up to `longest` seconds."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._next = min(_FIRST, longest)
        self._until = 0.0

    @property
    def left(self) -> float:
        """Return the remaining seconds to wait."""
        return max(0.0, self._until - self._clock())

    def failed(self, at_least: float = 0.0) -> None:
        """Start the next, longer wait, of `at_least` the seconds that the server asks for."""
        # Jitter from half the wait: workers that failed together do not retry together.
        wait = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next = min(2 * self._next, self._longest)
        self._until = self._clock() + max(at_least, wait)

    def succeeded(self) -> None:
        """End the wait, and begin with the shortest one after the next failure."""
        self._next = min(_FIRST, self._longest)
        self._until = 0.0
