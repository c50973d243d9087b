"""Confidence sequences of the ratio of outcomes between the two arms of the flag's random draw.

The flag assigns a unit to the candidate with a known probability s. The outcome Y of a unit, from 0
to 1, has the weight (1 - s) / s in the candidate's arm. So the sums of both arms have the same
expectation if the candidate changes nothing, even if s differs from unit to unit. The bets are
those of `betting`; the weights are as in Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro,
"Anytime-valid off-policy inference for contextual bandits", ACM/IMS J. Data Sci. 1 (2024).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.evidence import OutcomeCell
from flags.gate.sequences.betting import Cells, log_wealth
from flags.gate.sequences.bounds import BetRatio

_WIDEST: Final = 1e6
"""Ratios above it count as infinite, ratios below its inverse as zero."""
_STEPS: Final = 40
"""Halvings of the logarithm of that range: a relative precision of 1e-11."""


@dataclass(frozen=True, slots=True)
class UnitRatioSequence(BetRatio):
    """The ratio of the candidate's mean outcome to the primary's, over all units."""

    cells: tuple[OutcomeCell, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the ratio: infinite without an event of the primary, None without any event."""
        return _ratio(
            sum(n * gain for n, gain, _ in self._cells()),
            sum(n * stake for n, _, stake in self._cells()),
        )

    def scaled(self, factor: float) -> "UnitRatioSequence":
        """Return the sequence at `factor` times the counts."""
        return replace(self, factor=self.factor * factor)

    def _cells(self, *, swapped: bool = False) -> Cells:
        rows = []
        for each in self.cells:
            if each.total:
                odds = each.share / (1 - each.share)
                weight = odds if swapped else 1 / odds
                is_denominator = each.candidate is swapped
                values = (0.0, each.total) if is_denominator else (weight * each.total, 0.0)
                rows.append((self.factor * each.units, *values))
        return rows


@dataclass(frozen=True, slots=True)
class FlipRatioSequence:
    """The same ratio, bounded by the flips: only there can the candidate change an outcome.

    If both sides decide alike, the outcome is the same in both arms. So the hypothesis "at most m
    times the primary's outcomes over all traffic" becomes one about the flips: the candidate's mean
    on flips is at most m times the primary's mean on flips, plus (m - 1) times the primary's mean
    on all other pairs. The share of flips need not be estimated. The factor is

        1 + u (C / m - F - (1 - 1/m) (T - F))

    where C is the weighted outcome of a candidate's unit on flips, F that of a primary's unit on
    flips, and T its total outcome. The factor falls as m grows.
    """

    cells: tuple[OutcomeCell, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the ratio over all traffic, None without any event."""
        gain = agreeing = stake = 0.0
        for each in self.cells:
            if each.candidate:
                gain += each.units * each.on_flips * (1 - each.share) / each.share
            else:
                stake += each.units * each.total
                agreeing += each.units * (each.total - each.on_flips)
        return _ratio(gain + agreeing, stake)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the ratio, within 0 to infinity."""
        low = _last(lambda ratio: self.above(ratio, alpha / 2))
        high = _last(lambda ratio: not self.below(ratio, alpha / 2))
        return (
            0.0 if low <= 2 / _WIDEST else low,
            math.inf if high >= _WIDEST / 2 else high,
        )

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the ratio surely is above `limit` > 0."""
        rows = []
        for each in self.cells:
            if each.candidate:
                gain = each.on_flips * (1 - each.share) / each.share / limit
            else:
                gain = -each.on_flips - (1 - 1 / limit) * (each.total - each.on_flips)
            rows.append((self.factor * each.units, gain, 0.0))
        return _wealth(rows) >= -math.log(alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the ratio surely is below `limit` > 0."""
        rows = []
        for each in self.cells:
            odds = each.share / (1 - each.share)
            if each.candidate:
                gain = -each.on_flips
            else:
                gain = odds * (limit * each.total - (each.total - each.on_flips))
            # With a limit below 1, a primary's unit can lose up to `odds`; divided by it, no factor
            # is negative.
            rows.append((self.factor * each.units, gain / max(1.0, odds), 0.0))
        return _wealth(rows) >= -math.log(alpha)

    def scaled(self, factor: float) -> "FlipRatioSequence":
        """Return the sequence at `factor` times the counts."""
        return replace(self, factor=self.factor * factor)


def _wealth(rows: Cells) -> float:
    """Return the log wealth of rows (count, gain, 0); rows without a gain have the factor 1."""
    return log_wealth([row for row in rows if row[1]], 1.0)


def _ratio(gain: float, stake: float) -> float | None:
    if stake:
        return gain / stake
    return math.inf if gain else None


def _last(holds: Callable[[float], bool]) -> float:
    """Return the largest ratio for which `holds` is true; it is true up to some ratio."""
    low, high = -math.log(_WIDEST), math.log(_WIDEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if holds(math.exp(middle)):
            low = middle
        else:
            high = middle
    return math.exp(low)
