"""Outcomes (what happened downstream) by the side that the flag assigned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flags.gate.evidence.counts import Count, Interval


@dataclass(frozen=True, slots=True)
class OutcomeCell:
    """The number of units with the same assignment and the same outcomes."""

    candidate: bool
    """Whether the flag assigned the candidate; a fallback stays in its arm."""
    share: float
    """Probability of being assigned to the candidate, above 0 and below 1."""
    flipped: bool | None
    """Whether the sides ever decided differently; None: not known."""
    on_flips: float
    """Sum of such a unit's outcomes over the pairs whose sides decide differently, divided by the
    cap of the metric: from 0 to 1."""
    total: float
    """The same over all of its pairs."""
    units: int
    """Units of this kind."""


@dataclass(frozen=True, slots=True)
class NoveltyCount:
    """The outcomes on flips of units of an age in days, by arm, weighted by the inverse share."""

    age: str
    """Time since the unit was first seen, such as `day 0-1`."""
    primary: float
    """Outcomes of units that were assigned to the primary."""
    candidate: float
    """Outcomes of units that were assigned to the candidate, weighted."""


@dataclass(frozen=True, slots=True)
class RatioSoFar:
    """The ratio of both arms' outcomes, from all units first seen until a time."""

    start: datetime
    """Start of the latest part of the window that is included."""
    ratio: Interval
    """The candidate's outcomes relative to the primary's, with an interval that is valid at all
    times together."""
    events: int
    """Units with an outcome."""


@dataclass(frozen=True, slots=True)
class OutcomeMetric:
    """The outcomes of one metric, by the side that was assigned."""

    name: str
    """Name of the metric."""
    by: str
    """`request` or `unit`: what an outcome belongs to."""
    cells: tuple[OutcomeCell, ...]
    """Units that are older than the cut-off, by assignment and outcomes."""
    outcomes: int = 0
    """Rows of the table without repeated ones."""
    used: int = 0
    """Outcomes that count."""
    without_pair: int = 0
    """Outcomes that belong to no pair."""
    outside_period: int = 0
    """Rows dated before their request, or later than the cut-off."""
    early: int = 0
    """Of outcomes by request, the rows that are dated before the request."""
    repeated: int = 0
    """Rows of all metrics that repeat another row, and are left out."""
    contradicted: int = 0
    """Requests or units with several rows that differ; one row counts."""
    lost: int = 0
    """Tracked outcomes that never arrived."""
    unclosed_records: int = 0
    """Programs that tracked outcomes and stopped without recording how many."""
    young_requests: int = 0
    """Requests that are younger than the cut-off."""
    mixed: Count = field(default=Count(0, 0))
    """Units that saw both sides although no change of the rollout explains it."""
    novelty: tuple[NoveltyCount, ...] = ()
    """By age of the unit, the outcomes on flips."""
    over_time: tuple[RatioSoFar, ...] = ()
    """From flips if they are known, else from all units; at most 30 parts of the window."""
    obstacle: str | None = None
    """Why the units could not be counted, in words; None: they are."""
    is_tracked: bool = False
    """Whether all outcomes were recorded by `track`, and none came from a file."""
    coverage: Mapping[str, Count] | None = None
    """For labels only: by assigned side, the share of requests that have a label."""
