"""The tables of mergeable counts to which an engine reduces the pairs of a window.

Everything that the evidence needs follows from these tables, whatever engine made them (DuckDB on
this machine, ClickHouse, Spark or Trino beyond), and the tables of two windows can be added up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pandas as pd

from comparison.counts.outputs.score_grid import ScoreGrid


@dataclass(frozen=True, slots=True)
class UnitAggregates:
    """Count the units that either side alarmed; tables have primary_alarm, candidate_alarm, n.

    A pair without a unit stands for its request. Counts of windows add up where `block` is equal;
    `once` does not, since the same unit may be in both.
    """

    units: int
    """Units that the pairs name; 0 where none does."""
    requests: int
    """Pairs that name one."""
    block: int | None
    """Nanoseconds in which a unit counts once; None: the whole window."""
    blocks: pd.DataFrame
    once: pd.DataFrame
    """Each unit once in the window."""
    segments: pd.DataFrame
    """As `blocks`, by segment and value."""
    design_effect: float
    hours: pd.DataFrame
    """Each unit once an hour, by `period`."""
    hours_effect: float
    """As `design_effect`, between hours."""
    is_quiet: bool = False
    """Whether most pairs are alarms: `primary_alarm` then says that a pair was none."""


@dataclass(frozen=True, slots=True)
class UnitFailures:
    """Count the units whose requests called both sides, and those with a request for the candidate.

    `failed` has those with a failure or a fallback, by their numbers of requests: called,
    primary_failed, candidate_failed, active, fallbacks, n.
    """

    called: int
    active: int
    failed: pd.DataFrame


@dataclass(frozen=True, slots=True)
class UnitPositives:
    """Count the units with positive labels, by how many each has and how many a side alarmed.

    Tables have old (boolean: old enough to count), positives, primary, candidate (int64), n.
    """

    blocks: pd.DataFrame
    """Each unit once per block, as `UnitAggregates.blocks`."""
    once: pd.DataFrame
    """Each unit once in the window."""
    design_effect: float
    """Of a unit's differences between blocks."""


@dataclass(frozen=True, slots=True)
class UnknownLabels:
    """Count the labels whose request id has no pair, of all `given`, with ids of both kinds."""

    count: int
    given: int
    labels: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputAggregates:
    """Count the pairs of one output in which both sides are `ok` and have a finite score.

    Scores are rounded as `grid` says. Tables have one row per combination that occurs, and their
    count in the column `n` (int64):

        scores    side, score (float64), primary_alarm (boolean, NA: no threshold), label (boolean,
                  NA: not labelled), low, high (float64: least and largest of what was rounded)
        joint     primary_score, candidate_score (float64), label
        alarms    period (datetime64[ns, UTC], start of its hour, or minute of a short
                  window), primary_alarm, candidate_alarm (boolean, both known), label
        segments  segment, value (string, NA: not named), primary_alarm, candidate_alarm, label
        coverage  served (string, NA), primary_alarm, candidate_alarm (boolean, NA: not both known),
                  old (boolean: old enough for its label to count), label: the first pairs of all
                  requests, answered or not; empty without labels of this output

    The label of a pair that is too young is NA but in `coverage`.

    `flips` are the rows (request_id, time, primary_score, candidate_score, candidate_alarm, label)
    of pairs whose alarms differ, at most 50 with an alarm of the candidate alone and 50 with one of
    the primary alone, those with the largest difference of scores, largest first.
    """

    name: str
    grid: ScoreGrid
    thresholds: Mapping[str, tuple[float, ...]]
    """Thresholds that occurred, by side, in order."""
    unscored: int
    unscored_sides: Mapping[str, int]
    """By side, pairs without a finite score of it."""
    scores: pd.DataFrame
    joint: pd.DataFrame
    alarms: pd.DataFrame
    segments: pd.DataFrame
    coverage: pd.DataFrame
    flips: pd.DataFrame
    by_unit: UnitAggregates | None = None
    outside: pd.DataFrame | None = None
    """Pairs without both decisions (not those whose shadow was skipped): primary_alarm,
    candidate_alarm (boolean, at least one NA), n."""
    unit_positives: UnitPositives | None = None
    """None without labels of this output, or where no pair names a unit."""


class AnswerCounts(Protocol):
    """Hold the counts of an output of one kind; `comparison.counts.kinds` has their classes."""

    @property
    def kind(self) -> str:
        """Return the kind, as `flags.pairing.kinds.registry` names it."""

    @property
    def name(self) -> str:
        """Return the name of the output."""


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """Count the pairs of the step's last day by minute; `block` is that since 1970.

    `durations` are as `Aggregates.blocks`; `failures` are the pairs that called both sides, by
    primary_failed and candidate_failed (boolean).
    """

    durations: pd.DataFrame
    failures: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Hold the tables of one flag and window [since, until); each ends in a count `n` (int64).

        pairs      part ("step", "before": of an earlier step of the same candidate, "other": made
                   while the worker saw another rollout than the step's), rollout (float64, NaN:
                   unknown), active, served (string, NA: nobody), fallback (boolean),
                   primary_status, candidate_status (strings), primary_model, candidate_model
                   (strings, NA), first, last (datetime64[ns, UTC])
        workers    worker, first, last (sequence numbers, int64); n counts distinct ones, of
                   whatever flag; workers that may have made pairs of this one
        traffic    hour (hours since 1970), first, last: pairs of the step
        durations  side, bin (0 ... 331, see flags.gate.evidence.Durations): `ok` calls of workers
                   that are warm
        blocks     block (ten minutes since 1970), side, bin: the same of the step alone
        noise      output, differs (boolean): pairs whose sides ran the same model, both `ok`
        features   feature, bin (int64; -1: missing): bins between the edges of `feature_edges`

    Duplicates (pairs whose span id occurred before) are counted in `duplicates` and left out of all
    tables. `unknown_labels` are labels whose request id has no pair (None: no labels were given),
    `repeated_labels` counts pairs that follow another one of a labelled request.
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
    """None where no pair names a unit."""
    drawn: tuple[int, int] | None = None
    """(Given to the candidate, all) of the units that the flag draws; None where it draws
    requests."""
    batched: tuple[int, int] | None = None
    """(Differing, all) of the shadows scored in a batch and by themselves too; None: none was."""
    sampled: tuple[int, int, float, float] | None = None
    """Pairs under a budget of shadows: (scored, all, sum of the shares, sum of their squares)."""
    label_columns: tuple[str, ...] = ()
    """Columns of the labels that were given."""
    answers: tuple[AnswerCounts, ...] = ()
    """Outputs that are not scores, and what is counted of numbers besides."""
    units: int = 0
    """Units that the pairs name."""
    minutes: MinuteCounts | None = None
    """None without pairs."""
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By side, its failed calls by the type of the exception, as far as it was recorded."""
