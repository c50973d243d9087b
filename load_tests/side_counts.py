"""Counts of a load test's answers by side, and of answers by the wrong side."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from load_tests.flag_plan import Move, side


@dataclass(slots=True)
class FlagSeen:
    """The changes of the flag during a load test, as known to this process.

    Times are Unix seconds of the same clock as the requests'. For `settles` seconds after a change
    (poll interval and server refresh) either side is right.
    """

    flag: str
    settles: float
    move: Move | None = None
    since: float = 0.0

    def moved(self, move: Move, at: float) -> None:
        """Record a change of the flag."""
        self.move, self.since = move, at

    def expected(self, request_id: str, begun: float) -> str | None:
        """Return the side that must answer a request begun at `begun`; None if either may."""
        if self.move is None or begun < self.since + self.settles:
            return None
        return side(self.flag, request_id, self.move.rollout)


@dataclass(slots=True)
class SideCounts:
    """Answers by side; those with an expected side, those by the wrong side, and all ids."""

    answers: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    wrong: list[str] = field(default_factory=list)
    """`<request id>: <side>, not <side>` of each."""
    answered: list[str] = field(default_factory=list)
    """Request ids; an id that was sent twice occurs twice."""

    def count(self, request_id: str, served: str | None, expected: str | None) -> None:
        """Count one answer."""
        name = served or "unnamed"
        self.answers[name] += 1
        self.answered.append(request_id)
        if expected is not None:
            self.judged += 1
            if served != expected:
                self.wrong.append(f"{request_id}: {name}, not {expected}")

    def add(self, other: Self) -> None:
        """Add the counts of another process."""
        self.answers += other.answers
        self.judged += other.judged
        self.wrong += other.wrong
        self.answered += other.answered

    def taken(self) -> dict[str, Any]:
        """Return all counts as a message, and reset them."""
        message = {
            "answers": dict(self.answers),
            "judged": self.judged,
            "wrong": self.wrong,
            "answered": self.answered,
        }
        self.answers, self.judged, self.wrong, self.answered = Counter(), 0, [], []
        return message

    @classmethod
    def of(cls, message: dict[str, Any]) -> Self:
        """Return the counts in a message of `taken`."""
        return cls(
            Counter(message["answers"]), message["judged"], message["wrong"], message["answered"]
        )
