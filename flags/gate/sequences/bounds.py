"""Base classes of confidence sequences: two ways to compare a figure with a limit."""

import math
from abc import ABC, abstractmethod

from flags.gate.sequences.betting import Cells, log_wealth, lower_bound


class BetRatio(ABC):
    """A ratio of two means, bounded and compared with limits by betting on `_cells`.

    The upper bound is the inverse of the lower bound with the sides swapped.
    """

    __slots__ = ()

    @abstractmethod
    def _cells(self, *, swapped: bool = False) -> Cells:
        """Return rows (count, C, P); `swapped`: for the inverse ratio."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the ratio, within 0 to infinity."""
        inverse = lower_bound(self._cells(swapped=True), alpha / 2)
        return lower_bound(self._cells(), alpha / 2), 1 / inverse if inverse else math.inf

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the ratio surely is above `limit` > 0."""
        return log_wealth(self._cells(), limit) >= -math.log(alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the ratio surely is below `limit` > 0."""
        return log_wealth(self._cells(swapped=True), 1 / limit) >= -math.log(alpha)


class ByInterval(ABC):
    """A figure that is compared with a limit by the bounds of its interval."""

    __slots__ = ()

    @abstractmethod
    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds; each ever misses the true value with probability <= alpha / 2."""

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the figure surely is above `limit`."""
        return self.interval(2 * alpha)[0] > limit

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the figure surely is below `limit`."""
        return self.interval(2 * alpha)[1] < limit
