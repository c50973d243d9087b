"""The interface of all confidence sequences."""

from typing import Protocol, Self


class ConfidenceSequence(Protocol):
    """The estimate of a figure, with bounds that hold at every look."""

    @property
    def value(self) -> float | None:
        """Return the estimate, None without data."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds, each of which fails ever with probability alpha / 2 at most."""

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the lower bound of `interval(2 * alpha)` has passed `limit`."""

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the upper bound of `interval(2 * alpha)` has passed `limit`."""

    def scaled(self, factor: float) -> Self:
        """Return what it would be with `factor` times as much of the same data."""
