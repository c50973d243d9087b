"""The size of a batch of shadows, which adapts to how long a call takes."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_FIRST: Final = 8
"""Shadows in a call before it is known how long one takes."""

_SHORT: Final = 0.01
"""Seconds that a call may take in any case."""

_SINGLES: Final = 2.0
"""It may take as long as so many single ones: an active call may have to wait for it."""

_ROOM: Final = 0.7
"""Share of that which a call may take for the next to hold twice as many: most of what it takes is
the same for one input and for many."""

_LOOKS: Final = 5
_LATE: Final = 3
"""So many of the last calls must take too long: on a busy machine one call in twenty takes ten
times as long as the others, whatever it holds, and a small size costs the shadows of that time."""

_TRIED_AGAIN: Final = 30.0
"""Seconds after which a size that failed, or took too long, is tried again."""


class BatchSize:
    """How many go into a call: so many that it takes not much longer than a single one.

    A call that fails halves it, down to one, which is none, and so do three of five that take
    longer. One that leaves room doubles it, but for a while not to a size that was too large.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Put at most so many into a call."""
        self._most = max(1, most)
        self._single = 0.0
        self._size = min(self._most, _FIRST)
        self._clock = clock
        self._refused = self._most + 1
        """The least size that was too large."""
        self._refused_at = 0.0
        self._late: deque[bool] = deque(maxlen=_LOOKS)
        """Whether the last calls of this size took too long."""

    @property
    def now(self) -> int:
        """Return how many go into the next call."""
        if self._size == 1:
            self._grow()
        return self._size

    def single_took(self, seconds: float) -> None:
        """Note how long a single one took.

        Until the first is known, calls of a model that takes long are all too long: what they came
        to is forgotten.
        """
        if not self._single:
            self._refused = self._most + 1
            self._late.clear()
            self._resize(max(self._size, min(self._most, _FIRST)))
        self._single = seconds if not self._single else 0.9 * self._single + 0.1 * seconds

    def took(self, size: int, seconds: float) -> None:
        """Note how long a call with `size` inputs took."""
        allowed = max(_SHORT, _SINGLES * self._single)
        self._late.append(seconds > allowed)
        if sum(self._late) >= _LATE:
            self._shrink(min(self._size, size))
        elif size >= self._size and seconds <= _ROOM * allowed:
            self._grow()

    def failed(self, size: int) -> None:
        """Note that a call failed: the fewer are in one, the fewer are scored once more."""
        self._shrink(min(self._size, size))

    def _shrink(self, refused: int) -> None:
        self._refused, self._refused_at = max(2, refused), self._clock()
        self._resize(max(1, refused // 2))

    def _grow(self) -> None:
        if self._clock() - self._refused_at >= _TRIED_AGAIN:
            self._refused = self._most + 1
        self._resize(max(self._size, min(self._most, 2 * self._size, self._refused - 1)))

    def _resize(self, size: int) -> None:
        if size != self._size:
            self._late.clear()
        self._size = size
