"""How a confidence sequence compares its bounds with a limit: by bets, or by its interval."""

import math
from abc import ABC, abstractmethod

from flags.gate.sequences.betting import Cells, log_wealth, lower_bound


class BetRatio(ABC):
    """Bound the ratio of two means by bets on `_cells`.

    The upper bound is the lower one with the sides swapped, inverted.
    """

    __slots__ = ()

    @abstractmethod
    def _cells(self, *, swapped: bool = False) -> Cells:
        """Return rows of count, C and P, or with P and C in each other's place."""

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
    """Compare a limit with the bounds of the interval."""

    __slots__ = ()

    @abstractmethod
    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds, each of which fails ever with probability alpha / 2 at most."""

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the figure surely is above `limit`."""
        return self.interval(2 * alpha)[0] > limit

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the figure surely is below `limit`."""
        return self.interval(2 * alpha)[1] < limit
