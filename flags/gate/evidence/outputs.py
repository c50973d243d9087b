"""The evidence on one score: alarms, flips and the distribution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flags.gate.evidence.counts import UNWRITTEN, Count, Paired
from flags.gate.evidence.quality import Calibration, Labelling, Quality


@dataclass(frozen=True, slots=True)
class SegmentAlarms:
    """The alarms on the pairs with one value of a segment."""

    segment: str
    """Name of the segment."""
    value: str | None
    """Its value; None: pairs without a value."""
    alarms: Paired
    caught: Paired = field(default=Paired(0, 0, 0, 0))
    """Alarms on the pairs whose label counts and is positive."""

    @property
    def name(self) -> str:
        """Return the segment in words, e.g. `channel=web`."""
        return f"{self.segment}={'(none)' if self.value is None else self.value}"


@dataclass(frozen=True, slots=True)
class Period:
    """The alarms of one part of the window, which begins at `start`."""

    start: datetime
    alarms: Paired


@dataclass(frozen=True, slots=True)
class Flip:
    """One pair whose sides disagree about the alarm, as an example for a reviewer."""

    request_id: str
    """Id of the request."""
    time: datetime
    """When the request was accepted."""
    primary: float
    """The primary's score."""
    candidate: float
    """The candidate's score."""
    label: bool | None
    """The label of the request; None: not known."""
    is_new: bool
    """Whether the candidate alone raises the alarm; else the primary alone does."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distributions of both sides' scores, for description only: no check uses them.

    All figures depend on n.
    """

    quantiles: Mapping[str, Mapping[str, float | None]]
    """By side, by probability, e.g. "0.95"."""
    psi: float | None
    """Population stability index on the deciles of the primary's scores."""
    ks: float | None
    """Largest difference of the two distribution functions."""
    wasserstein: float | None
    """Wasserstein distance of both distributions, in the unit of the scores."""
    bins: tuple[float, ...]
    """Edges of at most 50 bins for a chart, one more than there are counts."""
    counts: Mapping[str, tuple[int, ...]]
    """By side, scores by bin; the outer bins include the scores beyond them."""
    joint: tuple[tuple[int, int, int], ...]
    """Cells (primary bin, candidate bin, pairs) of the same bins, without empty cells."""


@dataclass(frozen=True, slots=True)
class UnitAlarms:
    """The alarms by unit: a side alarms a unit if it alarms at least one of its requests.

    A pair without a unit is a unit by its request id, so a request that is sent again counts once.
    """

    units: int
    """Units that the pairs name."""
    requests: int
    """Pairs that name a unit."""
    block_seconds: float | None
    """Length in seconds of the blocks in which a unit counts once; None: once in the window."""
    alarms: Paired
    """By unit and block."""
    once: Paired
    """Each unit once in the window. Of requests without a unit, a minute has no more flips than
    chance brings: the others may be a burst of alike requests."""
    segments: tuple[SegmentAlarms, ...]
    """As `alarms`, by value of a segment."""
    design_effect: float
    """Design effect of flips in the blocks of a unit, or without units, the larger one of flips and
    of alarms in minutes; 1 if these are independent."""
    periods: tuple[Period, ...] = field(default=(), metadata=UNWRITTEN)
    """By hour, each unit once an hour, or without units as `once`; only hours with alarms."""
    hourly_design_effect: float = 1.0
    """As `design_effect`, of the hours of a unit, or without units, of flips in minutes."""


RANKED: Final = (0.1, 0.9)
"""Quantiles beyond which the overlap of both sides is checked; farther out there are few pairs."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The scores of both sides beyond a quantile of the primary's: below it if it is a low one."""

    probability: float
    """Level of the quantile of the primary's scores, from 0 to 1."""
    score: float
    """The quantile."""
    beyond: Paired
    """Pairs by the sides whose score is beyond it: below it if the level is below 0.5."""


@dataclass(frozen=True, slots=True)
class Output:
    """The evidence on one score."""

    name: str
    """Name of the output."""
    paired: int
    """Pairs with a score of both sides."""
    unscored: int
    """Pairs in which both sides answered, but a side has no finite score."""
    thresholds: Mapping[str, tuple[float, ...]]
    """By side, the recorded thresholds: several if one has changed."""
    alarms: Paired | None
    """Pairs by the sides that raise an alarm; None without thresholds."""
    segments: tuple[SegmentAlarms, ...]
    """Alarms by value of each segment."""
    periods: tuple[Period, ...] = field(metadata=UNWRITTEN)
    """By hour; by minute if the window is shorter than six hours."""
    flips: tuple[Flip, ...]
    """Flips with the largest difference of scores, at most 50 in each direction, largest first."""
    distribution: Distribution | None
    """None without scores of both sides."""
    quality: Quality | None
    """None without labels that count."""
    calibration: Calibration | None
    """None without alarms."""
    by_unit: UnitAlarms | None = None
    """Alarms by unit; None without alarms."""
    no_alarms_by_unit: UnitAlarms | None = None
    """If most pairs are alarms: the units by requests without an alarm, in place of `by_unit`."""
    lowest_alarms: Paired | None = None
    """Alarms if each missing decision were no alarm of the candidate, an alarm of the primary."""
    highest_alarms: Paired | None = None
    """Alarms if each missing decision were an alarm of the candidate, no alarm of the primary."""
    uncompared: Count | None = None
    """Pairs without a decision of a side: failed, shed, without score or threshold."""
    undecided_by_side: Mapping[str, int] = field(default_factory=dict)
    """Of these pairs, by side, those without a decision of this side."""
    tails: tuple[Tail, ...] = ()
    """Scores beyond quantiles of the primary's scores."""
    caught: tuple[Period, ...] = field(default=(), metadata=UNWRITTEN)
    """By period, the alarms on positives whose label counts; without periods that have none."""
    labelling: Labelling | None = None
    """None if no label is about this output."""
    unscored_by_side: Mapping[str, int] = field(default_factory=dict)
    """Of the unscored pairs, by side, those in which this side has no finite score."""
