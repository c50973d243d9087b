"""Confidence sequences of the ratio of outcomes between the two arms of the flag's draw.

A unit is assigned the candidate with a known probability s. Its outcome Y, from 0 to 1, counts
weighted by (1 - s) / s if it was, so that of the units both sums have the same expectation where
the candidate changes nothing, at whatever share each of them was drawn. The bets are those of
`betting`; weights as in Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro, "Anytime-valid
off-policy inference for contextual bandits", ACM/IMS J. Data Sci. 1 (2024).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.evidence import OutcomeCell
from flags.gate.sequences.betting import Cells, log_wealth
from flags.gate.sequences.bounds import BetRatio

_WIDEST: Final = 1e6
"""Ratios beyond that, and below its inverse, are as good as infinite and zero."""
_STEPS: Final = 40
"""Halvings of the logarithm of that range: to a relative 1e-11."""


@dataclass(frozen=True, slots=True)
class UnitRatioSequence(BetRatio):
    """Bound the ratio of the candidate's mean outcome to the primary's, over all units."""

    cells: tuple[OutcomeCell, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the ratio: infinite without an event of the primary, None without any."""
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
                staked = each.candidate is swapped
                values = (0.0, each.total) if staked else (weight * each.total, 0.0)
                rows.append((self.factor * each.units, *values))
        return rows


@dataclass(frozen=True, slots=True)
class FlipRatioSequence:
    """Bound the same ratio by the flips, where alone the sides' answers can make a difference.

    Where both sides decide alike, the candidate's outcomes are the primary's. So the claim "at most
    m times the primary's" says of the flips that their mean with the candidate is at most m times
    that with the primary, and (m - 1) times what happens on all other pairs. That is the margin on
    all traffic carried over to the flips, without an estimate of their share. A factor

        1 + u (C / m - F - (1 - 1/m) (T - F))

    has C of candidate's units, their weighted outcome on flips, F and T of primary's units, on
    flips and in total. It falls as m grows.
    """

    cells: tuple[OutcomeCell, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the ratio over all traffic, None where nothing happened."""
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
            # Of a limit below 1, a primary's unit can lose up to `odds`: no factor may be negative.
            rows.append((self.factor * each.units, gain / max(1.0, odds), 0.0))
        return _wealth(rows) >= -math.log(alpha)

    def scaled(self, factor: float) -> "FlipRatioSequence":
        """Return the sequence at `factor` times the counts."""
        return replace(self, factor=self.factor * factor)


def _wealth(rows: Cells) -> float:
    """Return the log wealth of rows (count, gain, 0); what gains nothing changes nothing."""
    return log_wealth([row for row in rows if row[1]], 1.0)


def _ratio(gain: float, stake: float) -> float | None:
    if stake:
        return gain / stake
    return math.inf if gain else None


def _last(holds: Callable[[float], bool]) -> float:
    """Return the largest ratio for which `holds`, which holds up to some ratio."""
    low, high = -math.log(_WIDEST), math.log(_WIDEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if holds(math.exp(middle)):
            low = middle
        else:
            high = middle
    return math.exp(low)
