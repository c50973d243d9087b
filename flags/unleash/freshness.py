"""The freshness of flags, from the result of each poll of their source."""

from dataclasses import dataclass
from enum import StrEnum

from flags.unleash.document import FlagDocument


class State(StrEnum):
    """How fresh the flags are."""

    NOT_READY = "not_ready"
    """No flags were ever loaded."""
    READY = "ready"
    STALE = "stale"
    """The source gave no valid answer for too long; the last valid flags are used."""
    EXPIRED = "expired"
    """Stale for longer than `max_staleness`: the flags are not used any more."""


@dataclass(slots=True)
class Freshness:
    """The last valid flags of a source and their age, in seconds of a monotonic clock.

    Flags older than `stale_after` are stale; flags older than `max_staleness` are not used (None:
    they are always used).
    """

    stale_after: float
    max_staleness: float | None = None
    document: FlagDocument | None = None
    error: str | None = None
    """Why the last poll failed; None if it succeeded."""
    last_good: float | None = None
    """When the source last confirmed the flags; None if they are from a cache or bootstrap file."""
    started: float = 0.0

    def good(self, now: float, document: FlagDocument | None = None) -> None:
        """Record a valid answer: a new document, or None if the flags have not changed."""
        self.document = document or self.document
        self.error = None
        if self.document is not None:
            self.last_good = now

    def bootstrapped(self, document: FlagDocument) -> None:
        """Record flags from a cache or bootstrap file."""
        self.document = document

    def bad(self, error: str) -> None:
        """Record that the source could not be read, or was invalid."""
        self.error = error

    def age(self, now: float) -> float:
        """Return the seconds since the source last confirmed the flags, else since the start."""
        return now - (self.started if self.last_good is None else self.last_good)

    def state(self, now: float) -> State:
        """Return the state at `now`."""
        if self.document is None:
            return State.NOT_READY
        age = self.age(now)
        if self.max_staleness is not None and age > self.max_staleness:
            return State.EXPIRED
        if age > self.stale_after:
            return State.STALE
        return State.READY
