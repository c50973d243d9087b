"""The limits of a figure, and the position of a confidence sequence relative to them."""

import math
from dataclasses import dataclass
from typing import Literal

from flags.gate.sequences import ConfidenceSequence


@dataclass(frozen=True, slots=True)
class Bounds:
    """Both limits on one side of a figure: pass within `advance`, fail beyond `fail`."""

    advance: float
    fail: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds above and below a figure; None: no limit on that side."""

    high: Bounds | None
    low: Bounds | None

    @property
    def values(self) -> tuple[float, ...]:
        """Return every limit."""
        sides = [each for each in (self.high, self.low) if each]
        return tuple(limit for each in sides for limit in (each.advance, each.fail))

    def contain(self, sequence: ConfidenceSequence, alpha: float) -> bool:
        """Say whether the whole interval at 1 - alpha lies within the `advance` limits."""
        return not (
            (self.high and not sequence.below(self.high.advance, alpha / 2))
            or (self.low and not sequence.above(self.low.advance, alpha / 2))
        )

    def exceeded(
        self, sequence: ConfidenceSequence, alpha: float, which: Literal["advance", "fail"]
    ) -> float | None:
        """Return the limit that the whole interval at 1 - alpha is beyond, or None."""
        if self.high and sequence.above(limit := getattr(self.high, which), alpha / 2):
            return float(limit)
        if self.low and sequence.below(limit := getattr(self.low, which), alpha / 2):
            return float(limit)
        return None

    def is_within(self, value: float) -> bool:
        """Say whether a figure lies within the `advance` limits."""
        return not (
            (self.high and value >= self.high.advance) or (self.low and value <= self.low.advance)
        )

    def is_beyond(self, value: float) -> bool:
        """Say whether a figure lies beyond a `fail` limit."""
        high, low = self.high, self.low
        return (high is not None and value > high.fail) or (low is not None and value < low.fail)

    def nearest(self, value: float) -> Bounds:
        """Return the bounds on the same side of the neutral value as the figure."""
        if self.high and self.low:
            middle = (
                math.sqrt(self.high.advance * self.low.advance)
                if self.low.advance > 0
                else (self.high.advance + self.low.advance) / 2
            )
            return self.high if value >= middle else self.low
        return self.high or self.low or Bounds(math.inf, math.inf)

    def open_one(self, sequence: ConfidenceSequence, value: float, alpha: float) -> float:
        """Return the limit that is not shown to be kept: if both are not, the nearer one."""
        high, low = self.high, self.low
        above_low = low is None or sequence.above(low.advance, alpha / 2)
        below_high = high is None or sequence.below(high.advance, alpha / 2)
        if high and low and above_low != below_high:
            return high.advance if above_low else low.advance
        return self.nearest(value).advance
