"""Count the answers of a load test by side, and those that came from the wrong one."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from load_tests.flag_plan import Move, side


@dataclass(slots=True)
class FlagSeen:
    """What this process knows of the flag: where it was moved, when, and what was there before.

    Times are Unix seconds of one clock, as the requests'. For `settles` seconds after a move (poll
    interval and server refresh) either side is right.
    """

    flag: str
    settles: float
    move: Move | None = None
    since: float = 0.0

    def moved(self, move: Move, at: float) -> None:
        """Note a move."""
        self.move, self.since = move, at

    def expected(self, request_id: str, begun: float) -> str | None:
        """Return the side that must answer a request begun then; None while either may."""
        if self.move is None or begun < self.since + self.settles:
            return None
        return side(self.flag, request_id, self.move.rollout)


@dataclass(slots=True)
class SideCounts:
    """Answers by side, those that were judged, those that were wrong, and the ids of all."""

    answers: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    wrong: list[str] = field(default_factory=list)
    """`<request id>: <side>, not <side>` of each."""
    answered: list[str] = field(default_factory=list)
    """Request ids; one that was sent twice is there twice."""

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
        """Take over what another process has counted."""
        self.answers += other.answers
        self.judged += other.judged
        self.wrong += other.wrong
        self.answered += other.answered

    def taken(self) -> dict[str, Any]:
        """Return everything as a message, and begin anew."""
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
        """Return what `taken` made a message of."""
        return cls(
            Counter(message["answers"]), message["judged"], message["wrong"], message["answered"]
        )
