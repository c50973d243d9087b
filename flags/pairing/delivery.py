"""The answer of a pair, and its delivery to the caller."""

import asyncio
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
