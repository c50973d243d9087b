"""A confidence sequence of the mean of bounded values, one value for each unit."""

import math
from dataclasses import dataclass

from flags.gate.evidence import UnitShare
from flags.gate.sequences.betting import Cells, log_wealth, lower_bound


@dataclass(frozen=True, slots=True)
class MeanSequence:
    """The mean of values between `lowest` and 1; each unit has the same weight.

    The requests of a unit may depend on each other in any way: a burst is one value. In the bets, C
    is the value's distance from `lowest`, and P = 1.
    """

    shares: tuple[UnitShare, ...]
    lowest: float = 0.0
    factor: float = 1.0

    @property
    def units(self) -> int:
        """Count the units."""
        return sum(each.units for each in self.shares)

    @property
    def value(self) -> float | None:
        """Return the mean, None without units."""
        if not self.units:
            return None
        return sum(each.value * each.units for each in self.shares) / self.units

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the mean, within `lowest` to 1."""
        if not self.units:
            return self.lowest, 1.0
        return (
            lower_bound(self._cells(), alpha / 2) + self.lowest,
            1 - lower_bound(self._cells(inverse=True), alpha / 2),
        )

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the mean surely is above `limit`, itself above `lowest`."""
        return log_wealth(self._cells(), limit - self.lowest) >= -math.log(alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the mean surely is below `limit`, itself below 1."""
        return log_wealth(self._cells(inverse=True), 1 - limit) >= -math.log(alpha)

    def scaled(self, factor: float) -> "MeanSequence":
        """Return the sequence at `factor` times the counts."""
        return MeanSequence(self.shares, self.lowest, self.factor * factor)

    def _cells(self, *, inverse: bool = False) -> Cells:
        return [
            (self.factor * each.units, 1 - each.value if inverse else each.value - self.lowest, 1)
            for each in self.shares
        ]
