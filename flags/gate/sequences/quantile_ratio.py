"""A confidence sequence of the ratio of latency quantiles, from binned counts."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from flags.gate.evidence import DURATION_EDGES, Count, Durations
from flags.gate.sequences.bounds import ByInterval
from flags.gate.sequences.share import ShareSequence


@dataclass(frozen=True, slots=True)
class QuantileRatioSequence(ByInterval):
    """The candidate's quantile divided by the primary's; as precise as the bins, 5 %.

    The quantile lies at or above an edge if the share of calls below the edge is surely less than
    `probability`, and at or below it if the share is surely more: a confidence sequence of a share,
    inverted (Howard & Ramdas, "Sequential estimation of quantiles with applications to A/B testing
    and best-arm identification", Bernoulli 28 (2022), 1704-1728). Trying all edges costs no error
    rate, since only the edge next to the true quantile can mislead. Each bound of the ratio is made
    of one bound of each side, at half of its alpha each, so the sides may depend on each other in
    any way.
    """

    primary: Durations
    candidate: Durations
    probability: float
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the ratio of the observed quantiles, None if a side has no finite one."""
        primary = self.primary.quantile(self.probability)
        candidate = self.candidate.quantile(self.probability)
        if primary is None or candidate is None or math.isinf(primary):
            return None
        return candidate / primary

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the ratio, within 0 to infinity."""
        primary = self.side(self.primary, alpha / 2)
        candidate = self.side(self.candidate, alpha / 2)
        low = candidate[0] / primary[1]
        high = candidate[1] / primary[0] if primary[0] else math.inf
        return low, high

    def side(self, durations: Durations, alpha: float) -> tuple[float, float]:
        """Return the bounds of one side's quantile in seconds, within 0 to infinity."""
        below = (0, *accumulate(durations.counts))
        total = below[-1]

        def share(edge: int) -> ShareSequence:
            return ShareSequence(Count(below[edge + 1], total), self.factor)

        surely_above = _last(lambda edge: share(edge).below(self.probability, alpha / 2))
        maybe_above = _last(lambda edge: not share(edge).above(self.probability, alpha / 2))
        low = 0.0 if surely_above is None else DURATION_EDGES[surely_above]
        after = 0 if maybe_above is None else maybe_above + 1
        return low, DURATION_EDGES[after] if after < len(DURATION_EDGES) else math.inf

    def scaled(self, factor: float) -> "QuantileRatioSequence":
        """Return the sequence at `factor` times the counts."""
        return QuantileRatioSequence(
            self.primary, self.candidate, self.probability, self.factor * factor
        )


def _last(holds: Callable[[int], bool]) -> int | None:
    """Return the last edge for which `holds`, true up to some edge, is true; None if for none."""
    low, high = -1, len(DURATION_EDGES)
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low if low >= 0 else None
