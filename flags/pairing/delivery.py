"""The answer of a pair, and its delivery to the caller."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import raisable
from flags.pairing.scorer import Scored


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

    async def awaited(
        self, scoring: Awaitable[Scored], may_be_cancelled: Callable[[], bool]
    ) -> Scored | None:
        """Return the result of `scoring`, on which the caller waits.

        If the caller's request is cancelled, so is `scoring`, if it may be: the result is None.
        """
        task, waits = asyncio.current_task(), True

        def cancel(answered: "asyncio.Future[Answer]") -> None:
            if task is not None and waits and answered.cancelled() and may_be_cancelled():
                task.cancel()

        self._answered.add_done_callback(cancel)
        try:
            scored: Scored | None = await scoring
        except asyncio.CancelledError:
            if not self._answered.cancelled():
                raise
            scored = None
        finally:
            waits = False
            self._answered.remove_done_callback(cancel)
        if scored is not None and not isinstance(scored.error, asyncio.CancelledError):
            return scored
        if task is not None and self._answered.cancelled():
            task.uncancel()
            return None
        return scored

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
