"""Time and size limits of both sides."""

from dataclasses import dataclass

from flags.pairing.assignment import Side


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of each side's calls. Times are in seconds; None means no limit."""

    primary_timeout: float | None = None
    """Time for the primary, unlimited by default, as in a service without this plugin."""
    candidate_timeout: float | None = 1.0
    """Time for an active candidate; after it, the primary's answer is served."""
    shadow_timeout: float = 5.0
    """Time for a shadow, if its side's own limit is not lower; for a stream, until its last
    item."""
    shadow_concurrency: int = 64
    """Shadows scored at the same time; a further one is shed."""
    candidate_item_timeout: float | None = 30.0
    """Time between two items of an active candidate's stream; beyond it the stream ends."""
    batched_concurrency: int = 256
    """The same limit for shadows that are scored in batches. It is higher, because a waiting
    shadow costs little, and batches wait while callers do."""

    def of(self, side: Side, *, shadow: bool) -> float | None:
        """Return the time limit of `side` in seconds."""
        own = self.primary_timeout if side is Side.PRIMARY else self.candidate_timeout
        if not shadow:
            return own
        return self.shadow_timeout if own is None else min(own, self.shadow_timeout)
