"""Failures, fallbacks and durations of both sides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flags.gate.evidence.counts import UNWRITTEN, Count, Paired, UnitShare

DURATION_EDGES: Final = tuple(1e-5 * 1.05**step for step in range(331))
"""Edges of the bins of `Durations` in seconds, 10 us to 98 s, 5 % apart."""


@dataclass(frozen=True, slots=True)
class Durations:
    """A side's `ok` calls by duration, in bins between `DURATION_EDGES`."""

    counts: tuple[int, ...]
    """Calls by bin: the first is below 10 us, bin i from 10 us * 1.05^(i-1) to 10 us * 1.05^i, the
    last from 98 s on."""

    def quantile(self, probability: float) -> float | None:
        """Return the upper edge of the bin that contains the quantile, None without calls."""
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
    """Failures and fallbacks by unit: each unit has the share of its own requests."""

    units: int
    """Units whose requests called both sides; a pair without a unit is one unit."""
    failures: tuple[UnitShare, ...]
    """The candidate's share of failed requests minus the primary's."""
    fallbacks: tuple[UnitShare, ...]
    """Of the requests assigned to the candidate, the share that the primary answered."""


@dataclass(frozen=True, slots=True)
class Minute:
    """Failures and durations of both sides in one minute, over the requests of all units."""

    number: int
    """Minutes since 1970."""
    failed: float
    """The candidate's share of failed calls minus the primary's."""
    primary: float | None
    """Median duration in seconds of the calls after the warm-up; None if a side has none."""
    candidate: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """Failures, fallbacks and durations of both sides."""

    statuses: Mapping[str, Mapping[str, int]]
    """By side, pairs by status."""
    failures: Paired
    """The pairs that called both sides, by the sides that failed (error or timeout)."""
    fallbacks: Count
    """Of the pairs in which the candidate was active, those that the primary answered instead."""
    active_failures: Count
    """Of the pairs in which the candidate was active and called, those in which it failed."""
    shed: Count
    """Of all pairs, those with a side that was shed."""
    primary_served: Count
    """Of all answered pairs, those that the primary answered."""
    durations: Mapping[str, Durations]
    """By side, the workers' calls after their warm-up, of this step and earlier ones."""
    block_ratios: Mapping[str, tuple[float, ...]] = field(metadata=UNWRITTEN)
    """By quantile (`latency_p95`), the candidate's divided by the primary's in each ten minutes of
    the step in which both sides were called, in order of time."""
    warm_up: int = 0
    """First calls of a worker that are left out of the durations."""
    by_unit: UnitHealth | None = None
    """None if no pair names a unit."""
    minutes: tuple[Minute, ...] = field(default=(), metadata=UNWRITTEN)
    """The minutes of the step's last day, in order of time."""
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By side, the number of failed calls by recorded type of exception."""
