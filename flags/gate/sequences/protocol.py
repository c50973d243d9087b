"""The interface of all confidence sequences."""

from typing import Protocol, Self


class ConfidenceSequence(Protocol):
    """The estimate of a figure, with bounds that are valid at all looks together."""

    @property
    def value(self) -> float | None:
        """Return the estimate, None without data."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds; each ever misses the true value with probability <= alpha / 2."""

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the lower bound of `interval(2 * alpha)` is above `limit`."""

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the upper bound of `interval(2 * alpha)` is below `limit`."""

    def scaled(self, factor: float) -> Self:
        """Return the sequence that `factor` times as much of the same data would have."""
