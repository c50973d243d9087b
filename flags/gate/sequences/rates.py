"""Confidence sequences of the ratio and the difference of two rates over the same pairs."""

import math
from dataclasses import dataclass

from flags.gate.evidence import Paired
from flags.gate.sequences.betting import Cells, log_wealth, lower_bound
from flags.gate.sequences.bounds import BetRatio
from flags.gate.sequences.protocol import ConfidenceSequence


@dataclass(frozen=True, slots=True)
class RatioSequence(BetRatio):
    """The candidate's rate of a positive decision divided by the primary's, over the same pairs.

    In the bets, C and P are the candidate's and the primary's decision (1 or 0). A pair with two
    negative decisions has the factor 1, so only the three other cells count.
    """

    table: Paired
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the ratio: infinite without a positive of the primary, None without any."""
        primary, candidate = self.table.primary.count, self.table.candidate.count
        if primary:
            return candidate / primary
        return math.inf if candidate else None

    def scaled(self, factor: float) -> "RatioSequence":
        """Return the sequence at `factor` times the counts."""
        return RatioSequence(self.table, self.factor * factor)

    def _cells(self, *, swapped: bool = False) -> Cells:
        only = (self.table.candidate_only, self.table.primary_only)
        candidate, primary = only[::-1] if swapped else only
        counts = ((self.table.both, 1, 1), (candidate, 1, 0), (primary, 0, 1))
        return [(self.factor * count, c, p) for count, c, p in counts]


@dataclass(frozen=True, slots=True)
class WorstCaseRatio:
    """A ratio over pairs of which some decisions are unknown.

    `known` leaves these pairs out; `lowest` and `highest` fill them in so that the ratio is
    smallest and largest. The lower bound is that of `lowest`, the upper bound that of `highest`.
    """

    known: RatioSequence
    lowest: RatioSequence
    highest: RatioSequence

    @property
    def value(self) -> float | None:
        """Return the ratio over the known decisions."""
        return self.known.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return bounds that are valid whatever the unknown decisions are."""
        return self.lowest.interval(alpha)[0], self.highest.interval(alpha)[1]

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the ratio surely is above `limit`, whatever the unknown decisions are."""
        return self.lowest.above(limit, alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the ratio surely is below `limit`, whatever the unknown decisions are."""
        return self.highest.below(limit, alpha)

    def scaled(self, factor: float) -> "WorstCaseRatio":
        """Return the sequence at `factor` times the counts."""
        return WorstCaseRatio(
            *(each.scaled(factor) for each in (self.known, self.lowest, self.highest))
        )


@dataclass(frozen=True, slots=True)
class ConservativeRatio:
    """A ratio counted in several ways; it is surely beyond a limit if it is so in every way."""

    sequences: tuple[ConfidenceSequence, ...]

    @property
    def value(self) -> float | None:
        """Return the ratio of the first sequence, None if any of them has none."""
        values = [each.value for each in self.sequences]
        return None if None in values else values[0]

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the lowest and the highest bound."""
        bounds = [each.interval(alpha) for each in self.sequences]
        return min(low for low, _ in bounds), max(high for _, high in bounds)

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether all are surely above `limit`."""
        return all(each.above(limit, alpha) for each in self.sequences)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether all are surely below `limit`."""
        return all(each.below(limit, alpha) for each in self.sequences)

    def scaled(self, factor: float) -> "ConservativeRatio":
        """Return the sequence at `factor` times the counts."""
        return ConservativeRatio(tuple(each.scaled(factor) for each in self.sequences))


@dataclass(frozen=True, slots=True)
class DifferenceSequence:
    """The candidate's rate minus the primary's, over the same pairs, from -1 to 1.

    In the bets, C = 1 + candidate - primary (0, 1 or 2) and P = 1, so the ratio is 1 + difference.
    """

    table: Paired
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the difference, None without pairs."""
        pairs = self.table.pairs
        return (self.table.candidate_only - self.table.primary_only) / pairs if pairs else None

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the difference."""
        if not self.table.pairs:
            return -1.0, 1.0
        return (
            lower_bound(self._cells(), alpha / 2) - 1,
            1 - lower_bound(self._cells(swapped=True), alpha / 2),
        )

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the difference surely is above `limit`, itself above -1."""
        return log_wealth(self._cells(), 1 + limit) >= -math.log(alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the difference surely is below `limit`, itself below 1."""
        return log_wealth(self._cells(swapped=True), 1 - limit) >= -math.log(alpha)

    def scaled(self, factor: float) -> "DifferenceSequence":
        """Return the sequence at `factor` times the counts."""
        return DifferenceSequence(self.table, self.factor * factor)

    def _cells(self, *, swapped: bool = False) -> Cells:
        only = (self.table.candidate_only, self.table.primary_only)
        candidate, primary = only[::-1] if swapped else only
        same = self.table.both + self.table.neither
        counts = ((same, 1, 1), (candidate, 2, 1), (primary, 0, 1))
        return [(self.factor * count, c, p) for count, c, p in counts]
