"""The freshness of flags, from the result of each look at their source."""

from dataclasses import dataclass
from enum import StrEnum

from flags.unleash.document import FlagDocument


class State(StrEnum):
    """The state of the flags at a moment."""

    NOT_READY = "not_ready"
    """No flags were ever loaded."""
    READY = "ready"
    STALE = "stale"
    """The source gave no good answer for too long; the last good flags are used."""
    EXPIRED = "expired"
    """Stale for longer than `max_staleness`: the flags are not used any more."""


@dataclass(slots=True)
class Freshness:
    """Follow the looks at a flag source; times are seconds of a monotonic clock.

    `stale_after` is the age of the last good answer from which the flags are stale, `max_staleness`
    the age from which they are not used (None: always used).
    """

    stale_after: float
    max_staleness: float | None = None
    document: FlagDocument | None = None
    error: str | None = None
    """Why the last look failed; None after a good one."""
    last_good: float | None = None
    """When the source last confirmed the flags; None if only a cache or a bootstrap gave them."""
    started: float = 0.0

    def good(self, now: float, document: FlagDocument | None = None) -> None:
        """Note a good answer: a new document, or None where the source confirmed the last one."""
        self.document = document or self.document
        self.error = None
        if self.document is not None:
            self.last_good = now

    def bootstrapped(self, document: FlagDocument) -> None:
        """Note flags that did not come from the source itself."""
        self.document = document

    def bad(self, error: str) -> None:
        """Note that the source could not be read, or held nonsense."""
        self.error = error

    def age(self, now: float) -> float:
        """Return seconds since the source last confirmed the flags, or since the start."""
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
