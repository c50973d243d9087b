"""A confidence sequence of a figure that is only asymptotically normal."""

import math
from dataclasses import dataclass
from typing import Final

from flags.gate.evidence import Interval
from flags.gate.sequences.bounds import ByInterval

NONE: Final = Interval(None, None, None)
"""The interval of a figure without an estimate."""


@dataclass(frozen=True, slots=True)
class NormalSequence(ByInterval):
    """A mean-like estimate, bounded by its standard error over `n` labelled pairs.

    The normal mixture's asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy &
    Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Ann. Stat. 52
    (2024), 2613-2640, eq. 8): value +- se * sqrt(2 (n rho^2 + 1) / (n rho^2) *
    log(sqrt(n rho^2 + 1) / alpha)), tightest near n = `planned` with rho^2 =
    (-2 log alpha + log(-2 log alpha + 1)) / planned, fixed in advance. Asymptotic: its error rate
    is not guaranteed at small n, so it never causes a rollback.
    """

    estimate: Interval
    standard_error: float | None
    n: float
    planned: int

    @property
    def value(self) -> float | None:
        """Return the estimate."""
        return self.estimate.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds; infinite ones without an estimate."""
        value, error = self.estimate.value, self.standard_error
        if value is None or error is None or self.n <= 0:
            return -math.inf, math.inf
        spread = self.n * (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / self.planned
        width = error * math.sqrt(
            2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha)
        )
        return value - width, value + width

    def scaled(self, factor: float) -> "NormalSequence":
        """Return the sequence with `factor` times as many labelled pairs."""
        error = self.standard_error
        return NormalSequence(
            self.estimate,
            None if error is None else error / math.sqrt(factor),
            self.n * factor,
            self.planned,
        )
