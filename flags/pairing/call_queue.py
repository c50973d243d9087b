"""Let calls pass for which somebody waits, and know which ones have not begun."""

from collections import deque
from contextvars import ContextVar
from typing import Final, Generic, Protocol, TypeVar

in_background: Final[ContextVar[bool]] = ContextVar("bentoml_flags_nobody_waits", default=False)
"""True in a task whose answer has left: its calls let those pass for which a caller waits."""


class QueuePosition:
    """Where one call of a side stands: whatever has calls wait in line says so here."""

    def __init__(self) -> None:
        self.in_line = False
        """True from when the call is handed over until it begins."""


current_place: Final[ContextVar[QueuePosition | None]] = ContextVar(
    "bentoml_flags_place", default=None
)
"""The place of the call that is being made, if anybody wants to know it."""


def enqueue() -> QueuePosition:
    """Return the place of the call that is being made, which waits in line from now on."""
    place = current_place.get() or QueuePosition()
    place.in_line = True
    return place


class _Call(Protocol):
    is_patient: bool
    """What `nobody_waits` said where the call was made."""


C = TypeVar("C", bound=_Call)


class CallQueue(Generic[C]):
    """Calls that have not begun, in their order, but for the patient ones, which come last.

    Each method is as safe between threads as those of a `deque`.
    """

    def __init__(self) -> None:
        self._awaited: deque[C] = deque()
        self._patient: deque[C] = deque()

    @property
    def is_awaited(self) -> bool:
        """Say whether somebody waits for one of them."""
        return bool(self._awaited)

    def append(self, call: C) -> None:
        """Have `call` wait."""
        (self._patient if call.is_patient else self._awaited).append(call)

    def popleft(self) -> C:
        """Return the next call and take it off; raises IndexError if there is none."""
        try:
            return self._awaited.popleft()
        except IndexError:
            return self._patient.popleft()

    def first(self) -> C | None:
        """Return the next call, or None."""
        waiting = self._awaited or self._patient
        return waiting[0] if waiting else None
