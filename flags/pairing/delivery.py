"""The answer of a pair, and its delivery to the caller."""

import asyncio
from dataclasses import dataclass
from typing import Any

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import raisable
from flags.pairing.scorer import Scored


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for the caller: the value, and its origin."""

    value: Any
    served: Side
    fallback: bool
    assignment: Assignment
    model: str | None = None


class Delivery:
    """Hand the answer to the waiting caller, once, and remember which side it was."""

    def __init__(self, assignment: Assignment, waiting: "asyncio.Future[Answer]") -> None:
        self.served: Side | None = None
        self.fallback = False
        self.assignment = assignment
        self._waiting = waiting

    def deliver(self, side: Side, scored: Scored) -> None:
        """Hand over what `side` came to: its answer, or its error."""
        if self._waiting.done():  # the caller went away
            return
        if not scored.ok:
            error = scored.error or RuntimeError(f"the {side} was not scored")
            self._waiting.set_exception(raisable(error))
            return
        self.served = side
        self.fallback = side is not self.assignment.active
        self._waiting.set_result(
            Answer(scored.answer, side, self.fallback, self.assignment, scored.observation.model)
        )
