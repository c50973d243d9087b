"""The size of a batch of shadows, which adapts to how long a call takes."""

import time
from collections.abc import Callable
from typing import Final

_FIRST: Final = 8
"""Shadows in a call before it is known how long one takes."""

_SHORT: Final = 0.01
"""Seconds that a call may take in any case."""

_SINGLES: Final = 2.0
"""It may take as long as so many single ones: an active call may have to wait for it."""

_TRIED_AGAIN: Final = 30.0
"""Seconds after which a method that fails, or saves nothing, gets another call."""


class BatchSize:
    """How many go into a call: so many that it takes not much longer than a single one.

    A call that takes longer, or fails, halves it, down to one, which is none. One that takes less
    than half of that doubles it.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Put at most so many into a call."""
        self._most = max(1, most)
        self._single = 0.0
        self._size = min(self._most, _FIRST)
        self._clock = clock
        self._changed = clock()

    @property
    def now(self) -> int:
        """Return how many go into the next call."""
        if self._size == 1 and self._clock() - self._changed >= _TRIED_AGAIN:
            self._become(min(2, self._most))
        return self._size

    def single_took(self, seconds: float) -> None:
        """Note how long a single one took."""
        self._single = seconds if not self._single else 0.9 * self._single + 0.1 * seconds

    def took(self, size: int, seconds: float) -> None:
        """Note how long a call with `size` inputs took."""
        allowed = max(_SHORT, _SINGLES * self._single)
        if seconds > allowed:
            self._become(max(1, min(self._size, size) // 2))
        elif size >= self._size and seconds <= allowed / 2:
            self._become(min(self._most, 2 * self._size))

    def failed(self) -> None:
        """Note that a call failed: the fewer are in one, the fewer are scored once more."""
        self._become(max(1, self._size // 2))

    def _become(self, size: int) -> None:
        self._size, self._changed = size, self._clock()
