"""A confidence sequence of the win rate: how often a judge prefers the candidate's text."""

from dataclasses import dataclass

from flags.gate.evidence import UnitPreference, UnitShare
from flags.gate.sequences.mean import MeanSequence


@dataclass(frozen=True, slots=True)
class WinRateSequence:
    """The mean preference for the candidate (a tie is 0.5); each unit has the same weight.

    Both orders of a prompt are one value, so a judge that prefers a position favours no side. If
    the judge failed, the lower bound counts a win of the primary, and the upper bound a win of the
    candidate: which prompts it fails on may depend on the answers. The bets are those of `betting`.
    """

    units: tuple[UnitPreference, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the win rate, with failures of the judge as ties; None without units."""
        middle = tuple(
            UnitShare((each.lowest + each.highest) / 2, each.units) for each in self.units
        )
        return MeanSequence(middle).value

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the win rate, within 0 to 1."""
        return self._least.interval(alpha)[0], self._most.interval(alpha)[1]

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the win rate surely is above `limit`, itself above 0."""
        return self._least.above(limit, alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the win rate surely is below `limit`, itself below 1."""
        return self._most.below(limit, alpha)

    def scaled(self, factor: float) -> "WinRateSequence":
        """Return the sequence at `factor` times the counts."""
        return WinRateSequence(self.units, self.factor * factor)

    @property
    def _least(self) -> MeanSequence:
        shares = tuple(UnitShare(each.lowest, each.units) for each in self.units)
        return MeanSequence(shares, factor=self.factor)

    @property
    def _most(self) -> MeanSequence:
        shares = tuple(UnitShare(each.highest, each.units) for each in self.units)
        return MeanSequence(shares, factor=self.factor)
