"""Build the evidence of a step from the tables of counts of a window."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from comparison.counts.tables import Aggregates, OutputAggregates
from comparison.evidence.alarms import alarms_by, sum_alarms
from comparison.evidence.calibration import calibrate
from comparison.evidence.direction import alarms_below, negated, negated_calibration
from comparison.evidence.distribution import distribution
from comparison.evidence.drift import References, drift
from comparison.evidence.health import health
from comparison.evidence.integrity import integrity
from comparison.evidence.joint_counts import JointCounts
from comparison.evidence.labelling import given_labels, labelling
from comparison.evidence.notes import (
    drift_notes,
    file_notes,
    label_notes,
    model_notes,
    output_notes,
    window_notes,
)
from comparison.evidence.quality import quality
from comparison.evidence.score_counts import ScoreCounts
from comparison.evidence.tails import tails
from comparison.evidence.uncompared import uncompared
from comparison.evidence.unit_recall import unit_recall
from comparison.evidence.units import unit_alarms
from comparison.pairs.accounting import Accounting
from flags.gate.evidence import (
    AnswerEvidence,
    Evidence,
    Flip,
    Gap,
    Output,
    Paired,
    Period,
    Quality,
    SegmentAlarms,
    Window,
)
from flags.pairing.kinds import registry


def evidence(
    aggregates: Aggregates,
    *,
    source: str,
    since: datetime,
    until: datetime,
    rollout: float,
    accounting: Accounting | None = None,
    references: References | None = None,
    contradicted: int = 0,
    now: datetime | None = None,
    comparable_since: datetime | None = None,
    steps_taken: int = 1,
    impossible_times: int = 0,
    warm_up: int = 0,
    thresholds_since: datetime | None = None,
) -> Evidence:
    """Return the evidence on a step that has been at `rollout` since `since`.

    `comparable_since` is the time from which on pairs with the present candidate count (None: from
    `since`), `steps_taken` the number of its steps so far, `thresholds_since` the time of a change
    of thresholds within the step.

    `until` is the time at which the evidence is taken; all times need a time zone. `aggregates`
    are counts of this window and rollout. `accounting` is that of the pair files, None without
    files; `contradicted` the number of request ids with labels that differ. A note counts pairs
    dated after `now`, if it is given. No content of the tables makes this fail: a figure that
    cannot be computed is None.
    """
    accounting = accounting.of_flag(aggregates.flag) if accounting else None
    pairs = aggregates.pairs
    here = pairs.loc[pairs["part"] == "step"]
    carried = here if comparable_since is None else pairs
    window = _window(aggregates, carried, since, until, rollout)
    window = replace(
        window,
        comparable_since=comparable_since or since,
        steps_taken=steps_taken,
        impossible_times=impossible_times,
    )
    trust = replace(
        integrity(aggregates, here, carried, accounting, now or until),
        thresholds_since=thresholds_since,
    )
    outputs = tuple(_output(output) for output in aggregates.outputs)
    answers = _answers(aggregates)
    given = given_labels(aggregates.unknown_labels, aggregates.label_columns)
    drifted = drift(aggregates.features, aggregates.feature_edges, references) if references else ()
    return Evidence(
        source=source,
        window=window,
        integrity=trust,
        health=health(
            carried,
            here,
            aggregates.durations,
            aggregates.blocks,
            warm_up,
            by_unit=aggregates.unit_failures,
            minutes=aggregates.minutes,
            errors=aggregates.errors,
        ),
        outputs=outputs,
        drift=drifted,
        notes=(
            *window_notes(window, now),
            *file_notes(aggregates, accounting),
            *model_notes(trust),
            *(note for output in outputs for note in output_notes(output)),
            *label_notes(aggregates, outputs, given, contradicted, answers),
            *drift_notes(drifted),
        ),
        labels=given,
        answers=answers,
    )


def _answers(aggregates: Aggregates) -> tuple[AnswerEvidence, ...]:
    modules = registry.layer("comparison.evidence.kinds")
    return tuple(modules[each.kind].evidence(each, aggregates.units) for each in aggregates.answers)


def _window(
    aggregates: Aggregates,
    carried: pd.DataFrame,
    since: datetime,
    until: datetime,
    rollout: float,
) -> Window:
    pairs = aggregates.pairs
    here, others = (pairs.loc[pairs["part"] == part] for part in ("step", "other"))
    return Window(
        flag=aggregates.flag,
        rollout=rollout,
        since=since,
        until=until,
        first=_datetime_or_none(here["first"].min()),
        last=_datetime_or_none(here["last"].max()),
        pairs=int(here["n"].sum()),
        pairs_of_other_rollouts=int(others["n"].sum()),
        comparable_since=since,
        comparable_pairs=int(carried["n"].sum()),
        pairs_without_rollout=int(others.loc[others["rollout"].isna(), "n"].sum()),
        gaps=tuple(_gaps(aggregates.traffic, since, until)),
    )


def _gaps(traffic: pd.DataFrame, since: datetime, until: datetime) -> Iterator[Gap]:
    """Yield gaps between pairs of at least an hour, and gaps of any length at both ends.

    A gap of an hour contains the end of a clock hour, so the first and the last pair of each hour
    show each gap.
    """
    # In microseconds, as the window: some engines have nanoseconds, others do not.
    ends = (map(_datetime, traffic[name].tolist()) for name in ("first", "last"))
    last = since
    for first, after in zip(*ends, strict=True):
        if first > last and (last == since or first - last >= timedelta(hours=1)):
            yield Gap(last, first)
        last = max(last, after)
    if until > last:
        yield Gap(last, until)


def _output(output: OutputAggregates) -> Output:
    joint, sides = JointCounts.of(output), ScoreCounts.of(output.scores)
    below = alarms_below(output)
    ranks, by_rank = joint, sides  # high ranks are alarms
    if below:
        ranked = negated(output)
        ranks, by_rank = JointCounts.of(ranked), ScoreCounts.of(ranked.scores)
    offer = calibrate(by_rank["candidate"])
    alarms = sum_alarms(output.alarms) if len(output.alarms) else None
    left_out = uncompared(output, alarms)
    by_unit = unit_alarms(output.by_unit, alarms) if output.by_unit and alarms else None
    is_quiet = output.by_unit is not None and output.by_unit.is_quiet
    return Output(
        name=output.name,
        paired=joint.total,
        unscored=output.unscored,
        unscored_by_side=output.unscored_by_side,
        thresholds={side: tuple(values) for side, values in output.thresholds.items()},
        alarms=alarms,
        segments=_segments(output.segments),
        periods=_periods(output.alarms),
        caught=_periods(_labelled(output.alarms, True)),
        flips=_flips(output.flips),
        distribution=distribution(joint, sides, output.grid),
        quality=_quality(output, ranks, by_rank),
        calibration=negated_calibration(offer) if below else offer,
        by_unit=None if is_quiet else by_unit,
        no_alarms_by_unit=by_unit if is_quiet else None,
        uncompared=left_out.share if left_out else None,
        undecided_by_side=left_out.sides if left_out else {},
        lowest_alarms=left_out.lowest if left_out and alarms else None,
        highest_alarms=left_out.highest if left_out and alarms else None,
        tails=tails(joint),
        labelling=labelling(output.coverage, output.unit_positives),
    )


def _periods(alarms: pd.DataFrame) -> tuple[Period, ...]:
    return tuple(Period(_datetime(start), table) for start, table in alarms_by(alarms, "period"))


def _labelled(counts: pd.DataFrame, label: bool) -> pd.DataFrame:
    """Return the rows of a table of counts with this label."""
    return counts.loc[(counts["label"].astype("boolean") == label).fillna(False)]


def _quality(
    output: OutputAggregates, joint: JointCounts, sides: Mapping[str, ScoreCounts]
) -> Quality | None:
    counts = output.unit_positives
    return quality(
        joint,
        sides,
        caught=sum_alarms(_labelled(output.alarms, True)),
        false_alarms=sum_alarms(_labelled(output.alarms, False)),
        by_unit=unit_recall(counts) if counts else None,
    )


def _segments(table: pd.DataFrame) -> tuple[SegmentAlarms, ...]:
    """Return the alarms by segment, in order of names, the values with most pairs first."""
    found: list[SegmentAlarms] = []
    for segment, rows in table.groupby("segment", observed=True, sort=True):
        caught = dict(_with_names(alarms_by(_labelled(rows, True), "value")))
        alarms = _with_names(alarms_by(rows, "value"))
        alarms.sort(key=lambda each: -each[1].pairs)
        found += [
            SegmentAlarms(str(segment), value, table, caught.get(value, Paired(0, 0, 0, 0)))
            for value, table in alarms
        ]
    return tuple(found)


def _with_names(tables: Iterable[tuple[Any, Paired]]) -> list[tuple[str | None, Paired]]:
    return [(None if pd.isna(value) else str(value), table) for value, table in tables]


def _flips(table: pd.DataFrame) -> tuple[Flip, ...]:
    names = ("request_id", "time", "primary_score", "candidate_score", "label", "candidate_alarm")
    columns = (table[name].tolist() for name in names)
    return tuple(
        Flip(
            str(request),
            _datetime(time),
            primary,
            candidate,
            None if pd.isna(label) else bool(label),
            bool(is_new),
        )
        for request, time, primary, candidate, label, is_new in zip(*columns, strict=True)
    )


def _datetime(time: Any) -> datetime:
    found: datetime = pd.Timestamp(time).to_pydatetime(warn=False)
    return found


def _datetime_or_none(time: Any) -> datetime | None:
    return None if pd.isna(time) else _datetime(time)
