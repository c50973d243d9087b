"""Failures, fallbacks and durations of both sides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flags.gate.evidence.counts import UNWRITTEN, Count, Paired, UnitShare

DURATION_EDGES: Final = tuple(1e-5 * 1.05**step for step in range(331))
"""Seconds, 10 us to 98 s, 5 % apart: edges of the bins of `Durations`."""


@dataclass(frozen=True, slots=True)
class Durations:
    """Count the `ok` calls of a side by seconds: bin i is [DURATION_EDGES[i-1], DURATION_EDGES[i]).

    The first bin is what is shorter than all edges, the last what is not shorter than the last:
    there is one bin more than edges.
    """

    counts: tuple[int, ...]

    def quantile(self, probability: float) -> float | None:
        """Return the upper edge of the bin in which the quantile lies, None without calls."""
        total = sum(self.counts)
        if not total:
            return None
        below = 0
        for upper, count in zip((*DURATION_EDGES, float("inf")), self.counts, strict=True):
            below += count
            if below >= probability * total:
                return upper
        return None


@dataclass(frozen=True, slots=True)
class UnitHealth:
    """Say how both sides fared by unit, each unit by the share of its own requests."""

    units: int
    """Those whose requests called both sides; a pair without a unit is one."""
    failures: tuple[UnitShare, ...]
    """The candidate's share of failed requests less the primary's."""
    fallbacks: tuple[UnitShare, ...]
    """Of the requests for the candidate, the share that the primary answered."""


@dataclass(frozen=True, slots=True)
class Minute:
    """Say how both sides fared in a minute, whoever sent the requests."""

    number: int
    """Minutes since 1970."""
    failed: float
    """The candidate's share of failed calls less the primary's."""
    primary: float | None
    """Median seconds of the calls that count; None without any on either side."""
    candidate: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """Say how both sides fared. `failures` (error or timeout) are over pairs that called both."""

    statuses: Mapping[str, Mapping[str, int]]
    """By side, pairs by status."""
    failures: Paired
    fallbacks: Count
    """Of the pairs in which the candidate was active, those answered by the primary instead."""
    shed: Count
    """Of all pairs, those with a side that was shed."""
    primary_served: Count
    """Of all answered pairs, those that the primary answered."""
    durations: Mapping[str, Durations]
    """By side, of the workers' calls after their warm-up, carried from step to step."""
    block_ratios: Mapping[str, tuple[float, ...]] = field(metadata=UNWRITTEN)
    """By quantile (`latency_p95`), the candidate's by the primary's in each ten minutes of the step
    in which both sides were called, in order of time."""
    warm_up: int = 0
    """Calls of a fresh worker that count for no duration."""
    by_unit: UnitHealth | None = None
    """None where no pair names a unit."""
    minutes: tuple[Minute, ...] = field(default=(), metadata=UNWRITTEN)
    """Those of the step's last day, in order of time."""
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By side, its failed calls by the type of the exception, as far as it was recorded."""
