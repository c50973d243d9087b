"""A confidence sequence in another unit."""

from dataclasses import dataclass

from flags.gate.sequences.protocol import ConfidenceSequence


@dataclass(frozen=True, slots=True)
class ScaledSequence:
    """Bound `unit` times what another sequence, of a mean within -1 to 1, bounds."""

    of: ConfidenceSequence
    unit: float

    @property
    def value(self) -> float | None:
        """Return the estimate."""
        return None if self.of.value is None else self.unit * self.of.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds."""
        low, high = self.of.interval(alpha)
        return self.unit * low, self.unit * high

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether it surely is above `limit`, which is not so beyond what can be."""
        return limit < self.unit and self.of.above(max(limit / self.unit, _LEAST), alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether it surely is below `limit`."""
        return limit >= self.unit or self.of.below(limit / self.unit, alpha)

    def scaled(self, factor: float) -> "ScaledSequence":
        """Return the sequence at `factor` times the counts."""
        return ScaledSequence(self.of.scaled(factor), self.unit)


_LEAST = -1 + 1e-9
"""Limits below which nothing is: the betting needs one above."""
