"""The evidence of a step, built from the tables of counts of a window."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from comparison.counts.tables import Aggregates, OutputAggregates
from comparison.evidence.alarms import counted_alarms, counted_by
from comparison.evidence.calibration import calibrate
from comparison.evidence.direction import alarms_below, turned, turned_back
from comparison.evidence.distribution import distribution
from comparison.evidence.drift import References, drift
from comparison.evidence.health import health
from comparison.evidence.integrity import integrity
from comparison.evidence.joint_counts import JointCounts
from comparison.evidence.labelling import given_labels, labelling
from comparison.evidence.notes import (
    of_drift,
    of_files,
    of_labels,
    of_models,
    of_output,
    of_window,
)
from comparison.evidence.outside import outside
from comparison.evidence.quality import quality
from comparison.evidence.score_counts import ScoreCounts
from comparison.evidence.tails import tails
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
    begun: datetime | None = None,
    visit: int = 1,
    set_aside: int = 0,
    warm_up: int = 0,
    thresholds_since: datetime | None = None,
) -> Evidence:
    """Return what the pairs say of a step that has been at `rollout` since `since`.

    `begun` is since when the candidate's pairs count (the step's, if None), `visit` the number of
    its steps so far, `thresholds_since` the time of a change of thresholds within it.

    `until` is when the evidence is taken; both need a time zone. `aggregates` are those of this
    time and rollout. `accounting` is that of the files that the pairs come from, if they come
    from files, `contradicted` the number of request ids with labels that differ. Pairs dated after
    `now`, if that is given, are told of. Whatever the tables hold, this does not fail: what cannot
    be computed is None.
    """
    accounting = accounting.of_flag(aggregates.flag) if accounting else None
    pairs = aggregates.pairs
    here = pairs.loc[pairs["part"] == "step"]
    counted = here if begun is None else pairs
    window = _window(aggregates, counted, since, until, rollout)
    window = replace(window, begun=begun or since, visit=visit, set_aside=set_aside)
    trust = replace(
        integrity(aggregates, here, counted, accounting, now or until),
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
            counted,
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
            *of_window(window, now),
            *of_files(aggregates, accounting),
            *of_models(trust),
            *(note for output in outputs for note in of_output(output)),
            *of_labels(aggregates, outputs, given, contradicted, answers),
            *of_drift(drifted),
        ),
        labels=given,
        answers=answers,
    )


def _answers(aggregates: Aggregates) -> tuple[AnswerEvidence, ...]:
    modules = registry.layer("comparison.evidence.kinds")
    return tuple(modules[each.kind].evidence(each, aggregates.units) for each in aggregates.answers)


def _window(
    aggregates: Aggregates,
    counted: pd.DataFrame,
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
        first=_moment(here["first"].min()),
        last=_moment(here["last"].max()),
        pairs=int(here["n"].sum()),
        other_rollouts=int(others["n"].sum()),
        begun=since,
        carried=int(counted["n"].sum()),
        without_rollout=int(others.loc[others["rollout"].isna(), "n"].sum()),
        gaps=tuple(_gaps(aggregates.traffic, since, until)),
    )


def _gaps(traffic: pd.DataFrame, since: datetime, until: datetime) -> Iterator[Gap]:
    """Yield the times of an hour and more without pairs, and those at both ends of any length.

    A gap of an hour has the end of an hour in it, so hours with their ends show each of them.
    """
    # In microseconds, as the window is: some engines know nanoseconds, others do not.
    ends = (map(_sure, traffic[name].tolist()) for name in ("first", "last"))
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
    ranks, by_rank = joint, sides
    if below:
        ranked = turned(output)
        ranks, by_rank = JointCounts.of(ranked), ScoreCounts.of(ranked.scores)
    offer = calibrate(by_rank["candidate"])
    alarms = counted_alarms(output.alarms) if len(output.alarms) else None
    left_out = outside(output, alarms)
    by_unit = unit_alarms(output.by_unit, alarms) if output.by_unit and alarms else None
    is_quiet = output.by_unit is not None and output.by_unit.is_quiet
    return Output(
        name=output.name,
        paired=joint.total,
        unscored=output.unscored,
        unscored_sides=output.unscored_sides,
        thresholds={side: tuple(values) for side, values in output.thresholds.items()},
        alarms=alarms,
        segments=_segments(output.segments),
        periods=_periods(output.alarms),
        caught=_periods(_labelled(output.alarms, True)),
        flips=_flips(output.flips),
        distribution=distribution(joint, sides, output.grid),
        quality=_quality(output, ranks, by_rank),
        calibration=turned_back(offer) if below else offer,
        by_unit=None if is_quiet else by_unit,
        quiet_by_unit=by_unit if is_quiet else None,
        outside=left_out.share if left_out else None,
        least=left_out.least if left_out and alarms else None,
        most=left_out.most if left_out and alarms else None,
        tails=tails(joint),
        labelling=labelling(output.coverage, output.unit_positives),
    )


def _periods(alarms: pd.DataFrame) -> tuple[Period, ...]:
    return tuple(Period(_sure(start), table) for start, table in counted_by(alarms, "period"))


def _labelled(counts: pd.DataFrame, label: bool) -> pd.DataFrame:
    """Return the rows of a table of counts whose label is known to be this one."""
    return counts.loc[(counts["label"].astype("boolean") == label).fillna(False)]


def _quality(
    output: OutputAggregates, joint: JointCounts, sides: Mapping[str, ScoreCounts]
) -> Quality | None:
    counts = output.unit_positives
    return quality(
        joint,
        sides,
        caught=counted_alarms(_labelled(output.alarms, True)),
        false_alarms=counted_alarms(_labelled(output.alarms, False)),
        by_unit=unit_recall(counts) if counts else None,
    )


def _segments(table: pd.DataFrame) -> tuple[SegmentAlarms, ...]:
    """Return segments in order of their names, the values with most pairs first."""
    found: list[SegmentAlarms] = []
    for segment, rows in table.groupby("segment", observed=True, sort=True):
        caught = dict(_named(counted_by(_labelled(rows, True), "value")))
        alarms = _named(counted_by(rows, "value"))
        alarms.sort(key=lambda each: -each[1].pairs)
        found += [
            SegmentAlarms(str(segment), value, table, caught.get(value, Paired(0, 0, 0, 0)))
            for value, table in alarms
        ]
    return tuple(found)


def _named(tables: Iterable[tuple[Any, Paired]]) -> list[tuple[str | None, Paired]]:
    return [(None if pd.isna(value) else str(value), table) for value, table in tables]


def _flips(table: pd.DataFrame) -> tuple[Flip, ...]:
    names = ("request_id", "time", "primary_score", "candidate_score", "label", "candidate_alarm")
    columns = (table[name].tolist() for name in names)
    return tuple(
        Flip(
            str(request),
            _sure(time),
            primary,
            candidate,
            None if pd.isna(label) else bool(label),
            bool(is_new),
        )
        for request, time, primary, candidate, label, is_new in zip(*columns, strict=True)
    )


def _sure(time: Any) -> datetime:
    found: datetime = pd.Timestamp(time).to_pydatetime(warn=False)
    return found


def _moment(time: Any) -> datetime | None:
    return None if pd.isna(time) else _sure(time)
