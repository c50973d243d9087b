"""The evidence on one compared number: alarms, flips and the distribution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flags.gate.evidence.counts import UNWRITTEN, Count, Paired
from flags.gate.evidence.quality import Calibration, Labelling, Quality


@dataclass(frozen=True, slots=True)
class SegmentAlarms:
    """Hold the alarms of one value of a segment; `value` is None where a pair does not name it."""

    segment: str
    value: str | None
    alarms: Paired
    caught: Paired = field(default=Paired(0, 0, 0, 0))
    """Alarms among those whose label counts and is positive."""


@dataclass(frozen=True, slots=True)
class Period:
    """Hold the alarms of one part of the window, from `start` on, in order of time."""

    start: datetime
    alarms: Paired


@dataclass(frozen=True, slots=True)
class Flip:
    """Name one pair whose sides disagree about the alarm, for a reviewer to look at."""

    request_id: str
    time: datetime
    primary: float
    candidate: float
    label: bool | None
    """What it turned out to be, if that is known."""
    is_new: bool
    """Whether the candidate alone raises the alarm; else the primary does."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Describe the scores of both sides; nothing here decides, and all of it depends on n.

    `bins` are the edges of at most 50 bins for drawing (one more than counts), `counts` by side;
    the outer bins also count what lies far beyond them.
    """

    quantiles: Mapping[str, Mapping[str, float | None]]
    """By side, by probability, e.g. "0.95"."""
    psi: float | None
    """Population stability index on the deciles of the primary's scores."""
    ks: float | None
    """Largest difference of the two distribution functions."""
    wasserstein: float | None
    bins: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]
    joint: tuple[tuple[int, int, int], ...]
    """Cells (primary bin, candidate bin, pairs) of the same bins, empty ones left out."""


@dataclass(frozen=True, slots=True)
class UnitAlarms:
    """Hold the alarms by unit: a unit was alarmed by a side if it was so at least once.

    A pair without a unit stands for its request, and a request sent again counts once.
    """

    units: int
    """Units that the pairs name."""
    requests: int
    """Pairs that name one; the others are judged by request."""
    block: float | None
    """Seconds in which a unit counts once; None: once in the window."""
    alarms: Paired
    """By unit and block."""
    once: Paired
    """Each unit once in the window."""
    segments: tuple[SegmentAlarms, ...]
    """As `alarms`, by value of a segment."""
    design_effect: float
    """Of flips between blocks of a unit; 1 if they are independent."""
    periods: tuple[Period, ...] = field(default=(), metadata=UNWRITTEN)
    """Each unit once an hour; hours without an alarm are left out."""
    hours_effect: float = 1.0
    """As `design_effect`, between hours."""


RANKED: Final = (0.1, 0.9)
"""Quantiles beyond which both sides must mean the same requests; farther out there are few."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Hold the scores beyond a quantile of the primary's: above it, or below a low one."""

    probability: float
    score: float
    beyond: Paired


@dataclass(frozen=True, slots=True)
class Output:
    """Hold the evidence on one compared number; `paired` pairs have it on both sides.

    `thresholds` are those that occurred, by side; without one there are no `alarms`.
    """

    name: str
    paired: int
    unscored: int
    """Pairs in which both sides answered and a finite score is missing."""
    thresholds: Mapping[str, tuple[float, ...]]
    alarms: Paired | None
    segments: tuple[SegmentAlarms, ...]
    periods: tuple[Period, ...] = field(metadata=UNWRITTEN)
    """By hour; by minute if the window has less than six hours."""
    flips: tuple[Flip, ...]
    """Those with the largest difference of scores, at most 50 a direction, largest first."""
    distribution: Distribution | None
    quality: Quality | None
    calibration: Calibration | None
    by_unit: UnitAlarms | None = None
    quiet_by_unit: UnitAlarms | None = None
    """Where most pairs are alarms, the units by what was none, in the place of `by_unit`."""
    least: Paired | None = None
    """Alarms if of what a side did not decide the candidate alarmed nothing, the primary all."""
    most: Paired | None = None
    """Alarms if of what a side did not decide the candidate alarmed all, the primary nothing."""
    outside: Count | None = None
    """Pairs in which a side decided nothing: failed, shed, without score or threshold."""
    tails: tuple[Tail, ...] = ()
    caught: tuple[Period, ...] = field(default=(), metadata=UNWRITTEN)
    """Alarms of the positives whose label counts, as `periods`; those without any are left out."""
    labelling: Labelling | None = None
    """None where no label is about this output."""
    unscored_sides: Mapping[str, int] = field(default_factory=dict)
    """Of the unscored, by side, those without a finite score of it."""
