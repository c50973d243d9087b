"""Time and size limits of both sides."""

from dataclasses import dataclass

from flags.pairing.assignment import Side


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what each side may take. Seconds; None means no limit."""

    primary_timeout: float | None = None
    """The primary's answer is the caller's: unlimited by default, as without us."""
    candidate_timeout: float | None = 1.0
    """Beyond it an active candidate has failed and the primary's answer is served."""
    shadow_timeout: float = 5.0
    """Time for the side that nobody waits for, if its own limit is not lower; of a stream, to its
    last item."""
    shadow_concurrency: int = 64
    """Shadows being scored at the same time; a further one is shed."""
    candidate_item_timeout: float | None = 30.0
    """Time between two items of an active candidate's stream; beyond it the stream ends."""
    batched_concurrency: int = 256
    """The same of shadows that one call of the candidate scores many of: to wait costs little, and
    a batch waits for callers."""

    def of(self, side: Side, *, shadow: bool) -> float | None:
        """Return the time limit of `side` in seconds."""
        own = self.primary_timeout if side is Side.PRIMARY else self.candidate_timeout
        if not shadow:
            return own
        return self.shadow_timeout if own is None else min(own, self.shadow_timeout)
