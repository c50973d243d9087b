"""Outcomes (what happened downstream) by the side that the flag assigned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flags.gate.evidence.counts import Count, Interval


@dataclass(frozen=True, slots=True)
class OutcomeCell:
    """The number of units with the same assignment and the same outcomes.

    `total` is the sum of such a unit's outcomes over all of its pairs, `on_flips` that over the
    pairs whose sides decide differently; both divided by the cap of the metric, so from 0 to 1.
    """

    candidate: bool
    """Whether the flag assigned the candidate; a fallback stays in its arm."""
    share: float
    """Probability of being assigned to the candidate, above 0 and below 1."""
    flipped: bool | None
    """Whether the sides ever decided differently; None: not known."""
    on_flips: float
    total: float
    units: int


@dataclass(frozen=True, slots=True)
class NoveltyCount:
    """The outcomes on flips of units of an age in days, by arm, weighted by the inverse share."""

    age: str
    primary: float
    candidate: float


@dataclass(frozen=True, slots=True)
class RatioSoFar:
    """The ratio of both arms' outcomes, from all units first seen until a time.

    The 95 % interval is valid at all times together. `events` are units with an outcome.
    """

    start: datetime
    """Start of the latest part of the window that is included."""
    ratio: Interval
    events: int


@dataclass(frozen=True, slots=True)
class OutcomeMetric:
    """The outcomes of one metric, by the side that was assigned.

    `cells` count the units that are older than the cut-off. `obstacle` is the reason why they could
    not be counted.
    """

    name: str
    by: str
    """`request` or `unit`."""
    cells: tuple[OutcomeCell, ...]
    outcomes: int = 0
    """Rows of the table without repeated ones."""
    used: int = 0
    without_pair: int = 0
    outside: int = 0
    """Rows dated before their request, or later than the cut-off."""
    early: int = 0
    """Of outcomes by request, the rows that are dated before the request."""
    repeated: int = 0
    contradicted: int = 0
    lost: int = 0
    """Tracked outcomes that never arrived."""
    unclosed_records: int = 0
    """Programs that tracked outcomes and stopped without recording how many."""
    young: int = 0
    """Requests that are younger than the cut-off."""
    mixed: Count = field(default=Count(0, 0))
    """Units that saw both sides although no change of the rollout explains it."""
    novelty: tuple[NoveltyCount, ...] = ()
    over_time: tuple[RatioSoFar, ...] = ()
    """From flips if they are known, else from all units; at most 30 parts of the window."""
    obstacle: str | None = None
    is_tracked: bool = False
    """Whether all outcomes were recorded by `track`, and none came from a file."""
    coverage: Mapping[str, Count] | None = None
    """For labels only: by assigned side, the share of requests that have a label."""
