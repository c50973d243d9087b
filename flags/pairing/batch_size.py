"""The size of shadow batches, adapted to the duration of their calls."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_FIRST_SIZE: Final = 8
"""Shadows per call before the duration of a call is known."""

_ALWAYS_ALLOWED: Final = 0.01
"""Seconds that a call may take in any case."""

_SINGLE_CALLS_ALLOWED: Final = 2.0
"""A call may take as long as this number of single calls, as an active call may wait for it."""

_GROWTH_SHARE: Final = 0.7
"""The size doubles after a call that took at most this share of the allowed time: most of a
call's time is the same for one input and for many."""

_RECENT_CALLS: Final = 5
_MAX_SLOW_CALLS: Final = 3
"""The size is halved if this many of the recent calls took too long. One slow call is not enough:
on a busy machine one call in twenty takes ten times as long as the others, whatever its size, and a
small size costs the shadows of that time."""

_RETRY_SECONDS: Final = 30.0
"""Seconds after which a size that failed, or took too long, is tried again."""


class BatchSize:
    """The number of inputs per batch call, chosen so that it takes little longer than a single one.

    A call that fails halves the size, and so do three of five calls that take too long. At size 1
    nothing is batched. A quick call doubles the size, but for `_RETRY_SECONDS` not to a size that
    was too large.
    """

    def __init__(self, maximum: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Limit the size to `maximum` inputs."""
        self._maximum = max(1, maximum)
        self._single = 0.0
        self._size = min(self._maximum, _FIRST_SIZE)
        self._clock = clock
        self._too_large = self._maximum + 1
        """The smallest size that was too large."""
        self._too_large_at = 0.0
        self._slow: deque[bool] = deque(maxlen=_RECENT_CALLS)
        """For each recent call of this size: whether it took too long."""

    @property
    def current(self) -> int:
        """Return the number of inputs for the next call."""
        if self._size == 1:
            self._grow()
        return self._size

    def record_single_call(self, seconds: float) -> None:
        """Record the duration of a call with one input.

        Before the first one, batch calls of a slow model all count as too long. Their effect on the
        size is therefore undone.
        """
        if not self._single:
            self._too_large = self._maximum + 1
            self._slow.clear()
            self._resize(max(self._size, min(self._maximum, _FIRST_SIZE)))
        self._single = seconds if not self._single else 0.9 * self._single + 0.1 * seconds

    def record_call(self, size: int, seconds: float) -> None:
        """Record the duration of a call with `size` inputs."""
        allowed = max(_ALWAYS_ALLOWED, _SINGLE_CALLS_ALLOWED * self._single)
        self._slow.append(seconds > allowed)
        if sum(self._slow) >= _MAX_SLOW_CALLS:
            self._shrink(min(self._size, size))
        elif size >= self._size and seconds <= _GROWTH_SHARE * allowed:
            self._grow()

    def record_failure(self, size: int) -> None:
        """Record a failed call: in smaller batches, fewer inputs have to be scored again."""
        self._shrink(min(self._size, size))

    def _shrink(self, too_large: int) -> None:
        self._too_large, self._too_large_at = max(2, too_large), self._clock()
        self._resize(max(1, too_large // 2))

    def _grow(self) -> None:
        if self._clock() - self._too_large_at >= _RETRY_SECONDS:
            self._too_large = self._maximum + 1
        self._resize(max(self._size, min(self._maximum, 2 * self._size, self._too_large - 1)))

    def _resize(self, size: int) -> None:
        if size != self._size:
            self._slow.clear()
        self._size = size
