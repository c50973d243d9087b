"""A priority queue of calls: callers first, shadows after."""

from collections import deque
from contextvars import ContextVar
from typing import Final, Generic, Protocol, TypeVar

in_background: Final[ContextVar[bool]] = ContextVar("bentoml_flags_in_background", default=False)
"""True in a task whose answer was sent: its calls run after calls for which a caller waits."""


class QueuePosition:
    """The position of one call: waiting in the queue, or not."""

    def __init__(self) -> None:
        self.in_line = False
        """True while the call waits in the queue."""


current_position: Final[ContextVar[QueuePosition | None]] = ContextVar(
    "bentoml_flags_queue_position", default=None
)
"""The queue position of the current call; None if the caller does not observe it."""


def enqueue() -> QueuePosition:
    """Mark the current call as waiting in the queue, and return its position."""
    position = current_position.get() or QueuePosition()
    position.in_line = True
    return position


class _Call(Protocol):
    is_background: bool
    """Value of `in_background` where the call was submitted."""


C = TypeVar("C", bound=_Call)


class CallQueue(Generic[C]):
    """Calls that have not begun: first in, first out, but background calls come last.

    The methods are thread-safe, as those of `deque` are.
    """

    def __init__(self) -> None:
        self._foreground: deque[C] = deque()
        self._background: deque[C] = deque()

    def append(self, call: C) -> None:
        """Add `call` to the queue."""
        (self._background if call.is_background else self._foreground).append(call)

    def popleft(self) -> C:
        """Remove and return the next call; raises IndexError if there is none."""
        try:
            return self._foreground.popleft()
        except IndexError:
            return self._background.popleft()

    def first(self) -> C | None:
        """Return the next call without removing it, or None."""
        for calls in (self._foreground, self._background):
            try:
                return calls[0]
            except IndexError:  # empty, or another thread has just taken the last call
                continue
        return None
