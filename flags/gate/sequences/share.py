"""A confidence sequence of a share."""

import math
from dataclasses import dataclass

from flags.gate.evidence import Count
from flags.gate.sequences.betting import Cells, log_wealth, lower_bound


@dataclass(frozen=True, slots=True)
class ShareSequence:
    """A share of a total (P = 1 in the bets): sharper for rare events than the beta-binomial."""

    counted: Count
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the share, None if the total is 0."""
        return self.counted.rate

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the share, within 0 to 1."""
        if not self.counted.total:
            return 0.0, 1.0
        return (
            lower_bound(self._cells(), alpha / 2),
            1 - lower_bound(self._cells(inverse=True), alpha / 2),
        )

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the share surely is above `limit` > 0."""
        return self.log_wealth_above(limit) >= -math.log(alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the share surely is below `limit` < 1."""
        return self.log_wealth_below(limit) >= -math.log(alpha)

    def p_value(self, share: float) -> float:
        """Return a p-value, valid at all looks together, of the hypothesis that `share` is true.

        `share` lies between 0 and 1. The p-value is 1 over the mean of both one-sided wealths
        (Lindon & Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, test
        sample ratios like this with a Dirichlet mixture).
        """
        above, below = self.log_wealth_above(share), self.log_wealth_below(share)
        largest = max(above, below)
        return math.exp(
            min(
                0.0,
                math.log(2)
                - largest
                - math.log(math.exp(above - largest) + math.exp(below - largest)),
            )
        )

    def log_wealth_above(self, limit: float) -> float:
        """Return the evidence that the share is above `limit` > 0."""
        return log_wealth(self._cells(), limit)

    def log_wealth_below(self, limit: float) -> float:
        """Return the evidence that the share is below `limit` < 1."""
        return log_wealth(self._cells(inverse=True), 1 - limit)

    def scaled(self, factor: float) -> "ShareSequence":
        """Return the sequence at `factor` times the counts."""
        return ShareSequence(self.counted, self.factor * factor)

    def _cells(self, *, inverse: bool = False) -> Cells:
        yes, no = self.counted.count, self.counted.total - self.counted.count
        if inverse:
            yes, no = no, yes
        return [(self.factor * yes, 1, 1), (self.factor * no, 0, 1)]
