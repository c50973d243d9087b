"""What happened downstream, by the side that was assigned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flags.gate.evidence.counts import Count, Interval


@dataclass(frozen=True, slots=True)
class OutcomeCell:
    """Count units that were assigned alike and fared alike.

    `on_flips` and `total` add up what happened to such a unit, as parts of the most that counts (0
    to 1): on the pairs whose sides decide differently, and on all of its pairs.
    """

    candidate: bool
    """Whether the flag assigned the candidate; a fallback stays in its arm."""
    share: float
    """With which probability it assigned the candidate, above 0 and below 1."""
    flipped: bool | None
    """Whether the sides ever decided differently; None where nobody knows."""
    on_flips: float
    total: float
    units: int


@dataclass(frozen=True, slots=True)
class NoveltyCount:
    """Add up what happened on flips to units of an age in days, weighted for the share."""

    age: str
    primary: float
    candidate: float


@dataclass(frozen=True, slots=True)
class RatioSoFar:
    """Bound the ratio of both arms by all units that were first seen until a time.

    The interval (95 %) holds at every moment at once. `events` are units to whom it happened.
    """

    start: datetime
    """Of the latest part of the window that counts."""
    ratio: Interval
    events: int


@dataclass(frozen=True, slots=True)
class OutcomeMetric:
    """Say what happened downstream, of one metric, by the side that was assigned.

    `cells` are of units that are old enough. `obstacle` says why they could not be counted.
    """

    name: str
    by: str
    """`request` or `unit`."""
    cells: tuple[OutcomeCell, ...]
    outcomes: int = 0
    """Rows of the table, repeated ones left out."""
    used: int = 0
    without_pair: int = 0
    outside: int = 0
    """Those before their request, or later than the cut-off."""
    early: int = 0
    """Of outcomes by request, those that are dated before it."""
    repeated: int = 0
    contradicted: int = 0
    lost: int = 0
    """Tracked outcomes that never arrived."""
    open_ends: int = 0
    """Programs that tracked some, are silent, and have not said how many there were."""
    young: int = 0
    """Requests that are younger than the cut-off."""
    mixed: Count = field(default=Count(0, 0))
    """Units that saw both sides though no change of the rollout explains it."""
    novelty: tuple[NoveltyCount, ...] = ()
    over_time: tuple[RatioSoFar, ...] = ()
    """By flips where they are known, else of all units; at most 30 parts of the window."""
    obstacle: str | None = None
    is_tracked: bool = False
    """Whether it came by `track` alone, and not by a file that somebody handed in."""
    coverage: Mapping[str, Count] | None = None
    """Of labels: by assigned side, the share of requests that have one."""
