"""A confidence sequence in another unit of measurement."""

from dataclasses import dataclass

from flags.gate.sequences.protocol import ConfidenceSequence


@dataclass(frozen=True, slots=True)
class ScaledSequence:
    """`unit` times the figure of `base`, a mean between -1 and 1."""

    base: ConfidenceSequence
    unit: float

    @property
    def value(self) -> float | None:
        """Return the estimate."""
        return None if self.base.value is None else self.unit * self.base.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds."""
        low, high = self.base.interval(alpha)
        return self.unit * low, self.unit * high

    def above(self, limit: float, alpha: float) -> bool:
        """Say whether the figure surely is above `limit`; never, if `limit` is >= `unit`."""
        return limit < self.unit and self.base.above(max(limit / self.unit, _LEAST), alpha)

    def below(self, limit: float, alpha: float) -> bool:
        """Say whether the figure surely is below `limit`; always, if `limit` is >= `unit`."""
        return limit >= self.unit or self.base.below(limit / self.unit, alpha)

    def scaled(self, factor: float) -> "ScaledSequence":
        """Return the sequence at `factor` times the counts."""
        return ScaledSequence(self.base.scaled(factor), self.unit)


_LEAST = -1 + 1e-9
"""Smallest limit of `base`: betting needs one above the lowest possible value, -1."""
