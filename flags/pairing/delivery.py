"""The answer of a pair, and its delivery to the caller."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import raisable
from flags.pairing.scorer import Scored

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for the caller: its value, and the side and model that gave it."""

    value: Any
    served: Side
    fallback: bool
    assignment: Assignment
    model: str | None = None


class Delivery:
    """Set the caller's future to the first answer delivered, and remember which side gave it."""

    def __init__(self, assignment: Assignment, answered: "asyncio.Future[Answer]") -> None:
        self.served: Side | None = None
        self.fallback = False
        self.assignment = assignment
        self._answered = answered

    async def awaited(self, result: Awaitable[T], may_be_cancelled: Callable[[], bool]) -> T | None:
        """Return `result`, on which the caller waits; None if it was cancelled.

        It is cancelled with the caller's request, if it may be.
        """
        task, waits, is_cancelled = asyncio.current_task(), True, False

        def cancel(answered: "asyncio.Future[Answer]") -> None:
            nonlocal is_cancelled
            if task is not None and waits and answered.cancelled() and may_be_cancelled():
                is_cancelled = task.cancel()

        self._answered.add_done_callback(cancel)
        try:
            found: T | None = await result
        except asyncio.CancelledError:
            if not is_cancelled:
                raise
            found = None
        finally:
            waits = False
            self._answered.remove_done_callback(cancel)
        if task is not None and is_cancelled:
            task.uncancel()
        return None if is_cancelled else found

    def deliver(self, side: Side, scored: Scored) -> None:
        """Give the caller the answer or the error of `side`, unless the caller went away."""
        if self._answered.done():  # cancelled: the caller went away
            return
        if not scored.ok:
            error = scored.error or RuntimeError(f"the {side} was not scored")
            self._answered.set_exception(raisable(error))
            return
        self.served = side
        self.fallback = side is not self.assignment.active
        self._answered.set_result(
            Answer(scored.answer, side, self.fallback, self.assignment, scored.observation.model)
        )
