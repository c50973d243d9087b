"""A priority queue of calls: callers first, shadows after."""

from collections import deque
from contextvars import ContextVar
from typing import Final, Generic, Protocol, TypeVar

in_background: Final[ContextVar[bool]] = ContextVar("bentoml_flags_nobody_waits", default=False)
"""True in a task whose answer has left: its calls let those pass for which a caller waits."""


class QueuePosition:
    """The position of one call: still in the queue, or begun."""

    def __init__(self) -> None:
        self.in_line = False
        """True from when the call is handed over until it begins."""


current_position: Final[ContextVar[QueuePosition | None]] = ContextVar(
    "bentoml_flags_place", default=None
)
"""The place of the call that is being made, if anybody wants to know it."""


def enqueue() -> QueuePosition:
    """Return the queue position of the current call, which is in the queue from now on."""
    position = current_position.get() or QueuePosition()
    position.in_line = True
    return position


class _Call(Protocol):
    is_background: bool
    """What `nobody_waits` said where the call was made."""


C = TypeVar("C", bound=_Call)


class CallQueue(Generic[C]):
    """Calls that have not begun: first in, first out, but background calls come last.

    Each method is as safe between threads as those of a `deque`.
    """

    def __init__(self) -> None:
        self._awaited: deque[C] = deque()
        self._background: deque[C] = deque()

    def append(self, call: C) -> None:
        """Have `call` wait."""
        (self._background if call.is_background else self._awaited).append(call)

    def popleft(self) -> C:
        """Return the next call and take it off; raises IndexError if there is none."""
        try:
            return self._awaited.popleft()
        except IndexError:
            return self._background.popleft()

    def first(self) -> C | None:
        """Return the next call, or None."""
        for calls in (self._awaited, self._background):
            try:
                return calls[0]
            except IndexError:  # or another thread took it just now
                continue
        return None
