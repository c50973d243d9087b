"""The tables of counts to which an engine reduces the pairs of a window.

The evidence is computed from these tables alone, whichever engine made them (DuckDB on this
machine, or ClickHouse, Spark, Trino). The tables of two windows can be added up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pandas as pd

from comparison.counts.outputs.score_grid import ScoreGrid


@dataclass(frozen=True, slots=True)
class UnitAggregates:
    """Counts of units with an alarm of either side; tables have primary_alarm, candidate_alarm, n.

    The request of a pair without a unit counts as a unit. Counts of two windows with equal `block`
    add up, except `once`: the same unit may be in both windows.
    """

    units: int
    """Units that the pairs name; 0 if no pair names one."""
    requests: int
    """Pairs that name a unit."""
    block: int | None
    """Length in nanoseconds of a block, in which a unit counts once; None: the whole window."""
    blocks: pd.DataFrame
    """Each unit once per block."""
    once: pd.DataFrame
    """Each unit once in the window. Without units, `once` and `hours` lack what is left of the
    flips of a minute after those that chance brings: a burst of alike requests."""
    segments: pd.DataFrame
    """As `blocks`, by segment and value."""
    design_effect: float
    """Of the flips of a unit, between blocks."""
    hours: pd.DataFrame
    """Each unit once an hour, by `period`."""
    hourly_design_effect: float
    """As `design_effect`, between hours. Without units, of flips within minutes; `design_effect` is
    then the larger one of these and of alarms."""
    is_quiet: bool = False
    """Whether most pairs are alarms. Then the rarer case is counted: in the tables `primary_alarm`
    and `candidate_alarm` are true if there is no alarm."""


@dataclass(frozen=True, slots=True)
class UnitFailures:
    """Counts of units: `called` have a request that called both sides, `active` one for the
    candidate.

    `failed` counts the units with a failure or a fallback by their numbers of requests: called,
    primary_failed, candidate_failed, active, fallbacks, n.
    """

    called: int
    active: int
    failed: pd.DataFrame


@dataclass(frozen=True, slots=True)
class UnitPositives:
    """Counts of units with positive labels, by how many each has and how many each side alarmed.

    Where no pair names a unit, minutes are counted in their place.

    Tables have old (boolean: old enough to count), positives, primary, candidate (int64), n.
    """

    blocks: pd.DataFrame
    """Each unit once per block, as `UnitAggregates.blocks`."""
    once: pd.DataFrame
    """Each unit once in the window."""
    design_effect: float
    """Of the differences of a unit's recall, between blocks."""
    has_units: bool


@dataclass(frozen=True, slots=True)
class UnknownLabels:
    """The number of labels whose request id has no pair, of all `given`; `labels` and `pairs` are
    examples of request ids of labels and of pairs."""

    count: int
    given: int
    labels: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputAggregates:
    """Counts of the pairs of one output in which both sides are `ok` and have a finite score.

    Scores are rounded by `grid`. Tables have one row for each occurring combination, with its count
    in the column `n` (int64):

        scores    side, score (float64), primary_alarm (boolean, NA: no threshold), label (boolean,
                  NA: not labelled), low, high (float64: smallest and largest score before rounding)
        joint     primary_score, candidate_score (float64), label
        alarms    period (datetime64[ns, UTC], start of its hour, or minute of a short
                  window), primary_alarm, candidate_alarm (boolean, both known), label
        segments  segment, value (string, NA: not named), primary_alarm, candidate_alarm, label
        coverage  served (string, NA), primary_alarm, candidate_alarm (boolean, NA: not both known),
                  old (boolean: old enough for its label to count), label: the first pairs of all
                  requests, answered or not; empty without labels of this output

    The label of a pair that is too young is NA, except in `coverage`.

    `flips` are the rows (request_id, time, primary_score, candidate_score, candidate_alarm, label)
    of pairs whose alarms differ: at most 50 with an alarm of only the candidate and 50 with one of
    only the primary, those with the largest difference of scores, largest first.
    """

    name: str
    grid: ScoreGrid
    thresholds: Mapping[str, tuple[float, ...]]
    """Thresholds that occurred, by side, ascending."""
    unscored: int
    """Pairs that lack a finite score of a side."""
    unscored_by_side: Mapping[str, int]
    """By side, pairs without a finite score of that side."""
    scores: pd.DataFrame
    joint: pd.DataFrame
    alarms: pd.DataFrame
    segments: pd.DataFrame
    coverage: pd.DataFrame
    flips: pd.DataFrame
    by_unit: UnitAggregates | None = None
    outside: pd.DataFrame | None = None
    """Pairs without both decisions, except skipped shadows: primary_alarm, candidate_alarm
    (boolean, at least one NA), n."""
    unit_positives: UnitPositives | None = None
    """None without labels of this output, or if no pair names a unit."""


class AnswerCounts(Protocol):
    """The counts of an output of one kind; its class is in `comparison.counts.kinds`."""

    @property
    def kind(self) -> str:
        """Return the kind, as `flags.pairing.kinds.registry` names it."""

    @property
    def name(self) -> str:
        """Return the name of the output."""


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """Counts of the pairs of the step's last day by minute; `block` is the minute since 1970.

    `durations` has the columns of `Aggregates.blocks`. `failures` counts the pairs that called both
    sides by primary_failed and candidate_failed (boolean).
    """

    durations: pd.DataFrame
    failures: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Aggregates:
    """The tables of one flag and window [since, until); each has a count `n` (int64).

        pairs      part ("step", "before": of an earlier step of the same candidate, "other": made
                   while the worker saw another rollout than the step's), rollout (float64, NaN:
                   unknown), active, served (string, NA: no side), fallback (boolean),
                   primary_status, candidate_status (strings), primary_model, candidate_model
                   (strings, NA), first, last (datetime64[ns, UTC])
        workers    worker, first, last (sequence numbers, int64); n counts distinct numbers, of
                   pairs of any flag; only workers that may have made pairs of this flag
        traffic    hour (hours since 1970), first, last: pairs of the step
        durations  side, bin (0 ... 331, see flags.gate.evidence.Durations): `ok` calls of warm
                   workers
        blocks     block (ten minutes since 1970), side, bin: the same, of the step only
        noise      output, differs (boolean): pairs whose sides ran the same model, both `ok`
        features   feature, bin (int64; -1: missing): bins between the edges of `feature_edges`

    Duplicates (pairs whose span id occurred before) are counted in `duplicates` and left out of all
    tables. `unknown_labels` are labels whose request id has no pair (None: no labels were given).
    `repeated_labels` counts further pairs of labelled requests, after the first of each request.
    """

    flag: str
    since: datetime | None
    until: datetime | None
    outputs: tuple[OutputAggregates, ...]
    pairs: pd.DataFrame
    workers: pd.DataFrame
    traffic: pd.DataFrame
    durations: pd.DataFrame
    blocks: pd.DataFrame
    noise: pd.DataFrame
    features: pd.DataFrame
    feature_edges: Mapping[str, tuple[float, ...]]
    duplicates: int
    unknown_labels: UnknownLabels | None
    repeated_labels: int
    unit_failures: UnitFailures | None = None
    """None if no pair names a unit."""
    drawn: tuple[int, int] | None = None
    """(Assigned to the candidate, all) of the units that the flag draws; None if it draws
    requests."""
    batched: tuple[int, int] | None = None
    """(Differing, all) of the shadows scored both in a batch and by themselves; None: none was."""
    sampled: tuple[int, int, float, float] | None = None
    """Pairs under a shadow budget: (scored, all, sum of shares, sum of squared shares)."""
    label_columns: tuple[str, ...] = ()
    """Columns of the labels that were given."""
    answers: tuple[AnswerCounts, ...] = ()
    """Counts of outputs that are not scores."""
    units: int = 0
    """Units that the pairs name."""
    minutes: MinuteCounts | None = None
    """None without pairs."""
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By side, failed calls by the recorded type of the exception."""
