"""The evidence on one stage: counts and plain figures of the pairs of a window.

`comparison` computes it from pairs, and from the readings of operational alarms; `flags.gate` reads
it. Counts come with their table, so that
the gate can put confidence sequences around them; figures that only describe say so.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

DURATION_EDGES: Final = tuple(1e-5 * 1.05**step for step in range(331))
"""Seconds, 10 us to 98 s, 5 % apart: edges of the bins of `Durations`."""

UNWRITTEN: Final = {"written": False}
"""Metadata of a field that no document has: counts from which the written figures follow."""


def is_written(field: "Field[Any]") -> bool:
    """Say whether documents have a field of a dataclass."""
    return bool(field.metadata.get("written", True))


@dataclass(frozen=True, slots=True)
class Count:
    """Hold `count` of `total`."""

    count: int
    total: int

    @property
    def rate(self) -> float | None:
        """Return the share, None of nothing."""
        return self.count / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Paired:
    """Hold the paired 2x2 table of a yes or no that each side said of the same pairs."""

    both: int
    primary_only: int
    candidate_only: int
    neither: int

    @property
    def pairs(self) -> int:
        """Count the pairs in the table."""
        return self.both + self.primary_only + self.candidate_only + self.neither

    @property
    def primary(self) -> Count:
        """Count the primary's yes."""
        return Count(self.both + self.primary_only, self.pairs)

    @property
    def candidate(self) -> Count:
        """Count the candidate's yes."""
        return Count(self.both + self.candidate_only, self.pairs)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bound a time without pairs."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Window:
    """Say which pairs the evidence rests on: those accepted from `since` until before `until`.

    `since` is when the step began and `until` when the evidence was taken, both with time zone;
    `rollout` (in per cent) is the one in force in between. `first` and `last` are times of pairs,
    None without any.

    What does not depend on who answers is counted from `begun` on, since when both sides have had
    their present models and thresholds: what the pairs have shown at one step is carried to the
    next. `carried` are all those pairs, `pairs` those of the step.
    """

    flag: str
    rollout: float
    since: datetime
    until: datetime
    first: datetime | None
    last: datetime | None
    pairs: int
    other_rollouts: int
    """Pairs since then that a worker made while it saw another rollout; none of the step's."""
    begun: datetime
    carried: int
    visit: int = 1
    """Which one of the candidate's steps this is, each return to one counted."""
    gaps: tuple[Gap, ...] = ()
    """Times without pairs within the step, of an hour and more, those at both ends included."""
    set_aside: int = 0
    """Pairs whose time cannot be; they are in no figure."""

    @property
    def age(self) -> float:
        """Return how many seconds ago the step began."""
        return (self.until - self.since).total_seconds()

    def held(self, longest: float) -> float:
        """Return for how many seconds the step has had traffic.

        A gap of more than `longest` seconds stops the clock, wherever it is.
        """
        stopped = sum(gap.seconds for gap in self.gaps if gap.seconds > longest)
        return max(0.0, self.age - stopped)


@dataclass(frozen=True, slots=True)
class Integrity:
    """Say whether the pairs can be trusted.

    `found` of `expected` numbered pairs are there (None: no pair carries a number). `active` counts
    the pairs that the flag gave to the candidate, to be held against the rollout. `noise` is the
    A/A floor: of the pairs whose sides ran the same model, those whose scores differ; None if
    there are none.
    """

    found: int
    expected: int | None
    duplicates: int
    unreadable: int
    active: Count
    noise: Count | None
    models: Mapping[str, Mapping[str, int]]
    """By side, pairs by model tag: more than one tag of a side is a mixture."""
    drawn: Count | None = None
    """Units of the flag's sticky field that it gave to the candidate; None: it draws requests."""
    thresholds_since: datetime | None = None
    """Since when the present thresholds are in force, if earlier ones count too; else None."""
    batched: Count | None = None
    """Of the shadows scored in a batch and by themselves too, those that differ; None: none was."""
    sampled: "Sampled | None" = None
    """Of the pairs whose shadows a budget samples; None: there is none."""
    open_ends: tuple["OpenEnd", ...] | None = None
    """Workers of the window that run no more and left no end; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a budget of shadows has left: units drawn by a hash, at the share in force."""

    scored: Count
    share: float
    """Mean share of the units that was in force."""
    shift: float
    """How far what was scored may lie from all traffic in time, 0 to 1: half of the variation of
    the share, a bound on their distance in total variation."""


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """A worker that gave no sign for a while, without having closed its record."""

    worker: str
    seen: datetime | None
    may_lack: int | None
    """How many pairs it may have made of which nothing is known; None: nobody knows."""


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
class UnitShare:
    """Count the units of whose requests a share failed; a difference lies within -1 to 1."""

    value: float
    units: int


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


@dataclass(frozen=True, slots=True)
class SegmentAlarms:
    """Hold the alarms of one value of a segment; `value` is None where a pair does not name it."""

    segment: str
    value: str | None
    alarms: Paired
    caught: Paired = Paired(0, 0, 0, 0)
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
class Reliability:
    """Hold one bin of a calibration curve: mean score, positives of total."""

    score: float
    positives: Count


@dataclass(frozen=True, slots=True)
class SideQuality:
    """Describe one side on the labelled pairs; None where it cannot be computed."""

    average_precision: float | None
    brier: float | None
    precision: Count
    """Of the alarms, those that were positive."""
    recall: Count
    """Of the positives, those that were alarms."""
    precision_at_volume: Count
    """The same at the primary's number of alarms: its own for the primary."""
    recall_at_volume: Count
    reliability: tuple[Reliability, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold an estimate with its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class UnitRecall:
    """Say by unit how many of its positives each side alarmed: candidate's share less primary's."""

    shares: tuple[UnitShare, ...]
    """By unit and block, each with the same weight."""
    once: tuple[UnitShare, ...]
    """Each unit once in the window."""
    alike: float
    """How many positives count as one, if those of a unit and block are wholly alike."""
    design_effect: float
    """Of the shares of a unit between blocks; 1 if they are independent."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Say how right both sides are on the pairs whose label has come, and counts.

    `caught` counts alarms among the positives, `false_alarms` among the negatives, paired: recall
    and false alarm rate are compared on these. `average_precision_difference` (candidate less
    primary) has a paired bootstrap interval and its standard error. All of it is of the labelled
    pairs alone: `Labelling` says what they stand for.
    """

    labelled: int
    positives: int
    primary: SideQuality
    candidate: SideQuality
    caught: Paired
    false_alarms: Paired
    average_precision_difference: Interval
    standard_error: float | None
    mcnemar_mid_p: float
    """Of right and wrong alarms: whether the flips favour a side."""
    by_unit: UnitRecall | None = None
    """None where no pair names a unit."""


@dataclass(frozen=True, slots=True)
class LabelledCell:
    """Count pairs by who answered and by both alarms: all of them, and those with a label.

    Alarms are None where they are not known of both sides, `served` where nobody answered.
    """

    served: str | None
    primary_alarm: bool | None
    candidate_alarm: bool | None
    pairs: int
    positives: int
    negatives: int

    @property
    def labelled(self) -> int:
        """Count the pairs with a label."""
        return self.positives + self.negatives


@dataclass(frozen=True, slots=True)
class Labelling:
    """Say which pairs have a label of an output: of those old enough for one, and of the others.

    Labels of the `young` do not count yet: which of them come early is not known.
    """

    old: tuple[LabelledCell, ...]
    young: tuple[LabelledCell, ...]
    coverage: Mapping[str, Count]
    """By served side, labelled of all pairs old enough to be labelled."""
    coverage_p: float | None
    """Fisher's exact test that the coverage does not depend on the served side."""
    alike: float = 1.0
    """How many positives, young ones too, count as one, if those of a unit are wholly alike."""


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """Say what became of the labels that were given."""

    requests: int
    """Request ids with a label."""
    unknown: int
    """Of these, those of no pair."""
    unknown_ids: tuple[str, ...] = ()
    pair_ids: tuple[str, ...] = ()
    """Some request ids of pairs, to hold against those."""
    columns: tuple[str, ...] = ("label",)
    """Columns that hold labels."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Offer the candidate threshold that keeps the primary's number of alarms.

    `low` and `high` bound it (95 %); recall and precision at it are known with labels only.
    """

    threshold: float
    low: float
    high: float
    alarms: Paired
    """At the offered threshold."""
    recall: Count | None
    precision: Count | None

    def payload(self, output: str) -> dict[str, dict[str, float]]:
        """Return what the flag's variant carries as JSON to put the threshold into effect."""
        return {"threshold": {output: self.threshold}}


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
    periods: tuple["Period", ...] = ()
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
    periods: tuple[Period, ...]
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
    labelling: Labelling | None = None
    """None where no label is about this output."""


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
    repeated: int = 0
    contradicted: int = 0
    lost: int = 0
    """Tracked outcomes that never arrived."""
    open_ends: int = 0
    """Programs that tracked some, are silent, and have not said how many there were."""
    young: int = 0
    """Requests that are younger than the cut-off."""
    mixed: Count = Count(0, 0)
    """Units that saw both sides though no change of the rollout explains it."""
    novelty: tuple[NoveltyCount, ...] = ()
    over_time: tuple[RatioSoFar, ...] = ()
    """By flips where they are known, else of all units; at most 30 parts of the window."""
    obstacle: str | None = None
    is_tracked: bool = False
    """Whether it came by `track` alone, and not by a file that somebody handed in."""
    coverage: Mapping[str, Count] | None = None
    """Of labels: by assigned side, the share of requests that have one."""


@dataclass(frozen=True, slots=True)
class UnitPreference:
    """Count units whose judged pairs gave the candidate the same share, on average.

    From 0, the primary's text was always preferred, to 1, the candidate's was; a tie is 0.5.
    `least` and `most` differ where the judge failed: it may have meant either.
    """

    least: float
    most: float
    units: int


@dataclass(frozen=True, slots=True)
class PreferenceEvidence:
    """Say which side's texts judges prefer, of pairs that differ, chosen at random."""

    output: str | None
    """None where the table names none."""
    units: tuple[UnitPreference, ...]
    prompts: int
    """Pairs that were judged, each in both orders if the table has orders."""
    unjudged: int
    """Of these, those on which the judge failed in an order or both."""
    position: tuple[UnitShare, ...]
    """Over both orders of a pair, the share of what was shown first: 0.5 without bias."""
    consistent: Count
    """Of the pairs in both orders, those in which the same answer won twice, or neither."""
    same_model: tuple[UnitShare, ...]
    """The candidate's share in pairs of the same model twice: the noise of the judge."""
    judges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """Describe how one recorded feature differs from the training reference (PSI, KS)."""

    feature: str
    pairs: int
    missing: int
    psi: float | None
    ks: float | None
    model: str
    """Tag of the model that the reference is stored with."""


class PartRole(StrEnum):
    """What the pairs of a part have in common."""

    WHOLE = "whole"
    """All pairs of the output."""
    SEGMENT = "segment"
    RECENT = "recent"
    """They are of the last day, three days or week."""
    LABELLED = "labelled"
    UNLABELLED = "unlabelled"
    """They are old enough for a label, and have none."""


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """Hold what a part of an output's pairs says: a value of a segment, or the last days."""

    role: PartRole
    segment: str
    """Name of the segment, or of the time."""
    value: str | None
    pairs: int
    sums: Mapping[str, float]
    """By name, sums over these pairs, as the kind of the output names them."""
    levels: Mapping[str, tuple[UnitShare, ...]] = field(default_factory=dict, metadata=UNWRITTEN)
    """By figure, values of units in parts of their bound."""

    @property
    def name(self) -> str:
        """Return the part in words, e.g. `region=EU`."""
        if self.role is not PartRole.SEGMENT:
            return self.segment
        return f"{self.segment}={'(none)' if self.value is None else self.value}"


@dataclass(frozen=True, slots=True)
class AnswerEvidence:
    """Hold the evidence on one output of a kind; `flags.gate.checks.<kind>` has its class."""

    kind: str
    name: str
    paired: int
    """Pairs that have it on both sides."""
    labelled: int
    """Of these, those whose label has come and counts."""
    units: int
    """Units that the pairs name; 0: they are judged by request."""
    parts: tuple[AnswerPart, ...] = field(default=(), kw_only=True)
    """The whole, the last days, values of segments, and those with and without a label."""
    young: Count = field(default=Count(0, 0), kw_only=True)
    """Labelled of the pairs that are too young for their label to count."""


class AlarmState(StrEnum):
    """What one look at an operational alarm found."""

    PASS = "pass"  # noqa: S105  # no password
    HOLD = "hold"
    ROLLBACK = "rollback"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AlarmPeriod:
    """Hold looks in a row, from `since` to `until`, at which an alarm was in the same state."""

    state: AlarmState
    since: datetime
    until: datetime
    looks: int
    figure: float | None
    """Of the last look; None where there is no value."""
    limit: float | None
    """The one that the figure is beyond, or the nearest."""
    reason: str
    """Of the last look, in words."""


@dataclass(frozen=True, slots=True)
class OperationalAlarm:
    """Hold what the looks of a window found of one operational alarm, in order of time."""

    name: str
    source: str
    periods: tuple[AlarmPeriod, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold everything that is known of one window: its pairs, and what was asked meanwhile."""

    source: str
    window: Window
    integrity: Integrity
    health: Health
    outputs: tuple[Output, ...]
    drift: tuple[Drift, ...]
    notes: tuple[str, ...]
    """What was noticed on the way, in words: clock skew, mixed models, torn lines, ..."""
    operational: tuple[OperationalAlarm, ...] = ()
    outcomes: tuple[OutcomeMetric, ...] = ()
    """By metric, over all rollouts at which both sides answered."""
    labels_by_side: OutcomeMetric | None = None
    """The labels, taken as outcomes: the truth must not depend on who answered."""
    labels: GivenLabels | None = None
    """None where none were given."""
    preferences: tuple[PreferenceEvidence, ...] = ()
    """By output whose texts were judged."""
    unknown_preferences: Count | None = None
    """Of the preferences that were given, those of no pair; None where none were."""
    answers: tuple[AnswerEvidence, ...] = ()
    """Outputs by kind, other than scores; a number is in `outputs` too, for its distribution."""

    @property
    def compared(self) -> int:
        """Count the outputs that are compared, of every kind: they share error rates."""
        outputs = {each.name for each in self.outputs} | {each.name for each in self.answers}
        return len(outputs | {each.output for each in self.preferences if each.output})

    @property
    def sharing(self) -> int:
        """Count what shares an error rate: the outputs, and judged texts that name none."""
        texts = any(each.kind == "text" for each in self.answers)
        unnamed = any(each.output is None for each in self.preferences)
        return self.compared + (unnamed and not texts)
