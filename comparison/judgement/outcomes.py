"""The evidence on outcomes, over all rollouts at which both sides answered."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import pandas as pd

from comparison.counts.drawn.outcome_cells import OutcomeCounts
from comparison.counts.drawn.outcomes import count_outcomes, shadow_quantile
from comparison.counts.drawn.pairs import DrawnPairs, RolloutRun, rollout_runs
from comparison.counts.labels.sides import LabelCounts, LabelledSides
from comparison.counts.packed import kept_or_counted
from comparison.counts.prepared import PreparedPairs
from comparison.engines.tables import nanoseconds
from comparison.evidence.outcomes import mixed_units, novelty, outcome_cells, ratio_over_time
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.outcomes import MetricRows, Outcomes, by_metric, tracked_outcomes
from flags.gate.checks.outcomes import WHOLE_COVERAGE
from flags.gate.evidence import Count, Evidence, OutcomeMetric
from flags.gate.number_format import plural
from flags.playbook.outcomes import OutcomePlan

SILENCE: Final = timedelta(minutes=5)
"""A process that tracked nothing for this long, without a stop record, may have been killed."""

_KEY: Final = (
    "give this command the UNIT_KEY of the service (where that has none, it is `bentoml-flags unit "
    "of NAME`, with the service's name)"
)


def with_outcomes(
    evidence: Evidence,
    flag_pairs: FlagPairs,
    prepared: PreparedPairs,
    additions: Additions,
    plans: Mapping[str, OutcomePlan],
    *,
    since: datetime | None,
    now: datetime,
    label_cutoff: datetime,
) -> Evidence:
    """Add the outcomes, and the labels by assigned side, to the evidence.

    They count from the present candidate on, or from `since`, and not from the step: the side that
    answers a request does not change the scores of both sides.
    """
    given = known_outcomes(flag_pairs, additions)
    if not given and additions.labels is None:
        return evidence
    begin = since or flag_pairs.candidate_since(now)

    @cache
    def drawn() -> DrawnPairs:
        known = prepared.drawn(flag_pairs.flag, begin, now)
        pairs = DrawnPairs.of(flag_pairs.source, flag_pairs.flag, begin, now, known)
        return pairs.cached() if given else pairs  # labels alone are joined once

    metrics = []
    if given:
        counter = _MetricCounter(drawn(), rollout_runs(flag_pairs.rollout_slots(begin, now)), plans)
        metrics = [counter.metric(each.until(now), name) for each, name in by_metric(given)]
    labels, by_side = additions.labels, None
    if labels is not None and labels.truths:
        bound = (
            flag_pairs.source.place_tables.bound if flag_pairs.source.place_tables else nanoseconds
        )
        cache_key = prepared.cache_key, begin, bound(now), bound(label_cutoff)
        counts = kept_or_counted(
            flag_pairs.source,
            "labels_by_side",
            flag_pairs.flag,
            cache_key,
            lambda: _label_counts(LabelledSides.of(drawn(), labels, label_cutoff)),
        )
        by_side = _labels(counts, labels.facts.size)
    return replace(
        evidence,
        outcomes=tuple(sorted(metrics, key=lambda each: each.name)),
        labels_by_side=by_side,
        notes=(*evidence.notes, *(note for each in metrics for note in _notes(each, plans))),
    )


def known_outcomes(flag_pairs: FlagPairs, additions: Additions) -> list[Outcomes]:
    """Return the outcomes that were given as a table, and those that were tracked."""
    tracked = tracked_outcomes(flag_pairs.source.name, flag_pairs.source.tracked())
    return [each for each in (additions.outcomes, tracked) if each is not None]


class _MetricCounter:
    """Counts the outcomes of metrics, all by the same pairs."""

    def __init__(
        self, drawn: DrawnPairs, runs: tuple[RolloutRun, ...], plans: Mapping[str, OutcomePlan]
    ) -> None:
        self._drawn = drawn
        self._runs = runs
        self._plans = plans

    def metric(self, outcomes: Outcomes, name: str) -> OutcomeMetric:
        """Return the evidence on one metric."""
        plan = self._plans.get(name) or _undeclared(outcomes, name)
        rows = outcomes.of(name, binary=plan.kind == "binary")
        start = OutcomeMetric(
            name,
            plan.by,
            (),
            outcomes=len(rows.frame),
            repeated=outcomes.repeated,
            contradicted=rows.contradicted,
            lost=outcomes.lost,
            unclosed_records=self._unclosed_records(outcomes),
            is_tracked=outcomes.is_tracked,
        )
        if outcomes.is_tracked and name not in self._plans:
            return start
        obstacle = self._obstacle(rows, plan)
        most = plan.cap_in_force or shadow_quantile(self._drawn, rows)
        if obstacle is None and not most:
            obstacle = (
                "nothing says how much of one unit counts at most: the shadow has shown no such "
                "outcome, and the playbook has no cap"
            )
        if obstacle is not None or not most:
            return replace(start, obstacle=obstacle)
        counts = count_outcomes(self._drawn, rows, plan, most, self._runs)
        obstacle = _likely_mistake(rows, counts, plan)
        over_time = ratio_over_time(counts)
        return replace(_counted(start, counts), obstacle=obstacle, over_time=over_time)

    def _unclosed_records(self, outcomes: Outcomes) -> int:
        """Count the processes that have been silent for `SILENCE`: the others may still run."""
        latest = nanoseconds(self._drawn.now - SILENCE)
        return sum(last < latest for last in outcomes.unclosed_records)

    def _obstacle(self, rows: MetricRows, plan: OutcomePlan) -> str | None:
        """Return why the outcomes cannot be compared by the plan, None if they can."""
        if plan.by == "request":
            if rows.frame["request_id"].isna().all():
                return "the outcomes name units and no requests, and the playbook says by: request"
            return None
        if not self._drawn.has_units:
            return (
                "refused: the flag draws each request for itself, so both sides reach the same "
                "unit, their effects cancel out, and any candidate would pass; make the flag "
                "sticky on the unit, or take outcomes by request"
            )
        if strangers := rows.by_value:
            return (
                f"{strangers:,} of {len(rows.frame):,} outcomes name their unit by its value, and "
                f"pairs by a keyed hash: {_KEY}"
            )
        if rows.frame["time"].isna().any():
            return (
                "outcomes by unit need occurred_at: a unit may have been seen at several rollouts"
            )
        return None


def _undeclared(outcomes: Outcomes, name: str) -> OutcomePlan:
    """Return the plan of a metric that the playbook does not name."""
    rows = outcomes.frame.loc[outcomes.frame["metric"] == name]
    kind = outcomes.kind_of(name)
    by = "unit" if rows["request_id"].isna().all() else "request"
    return OutcomePlan.model_validate({"kind": kind, "by": by})


def _counted(start: OutcomeMetric, counts: OutcomeCounts) -> OutcomeMetric:
    return replace(
        start,
        cells=outcome_cells(counts),
        used=counts.used,
        without_pair=counts.without_pair,
        outside_period=counts.outside_period,
        early=counts.early,
        young_requests=counts.young_requests,
        mixed=mixed_units(counts),
        novelty=novelty(counts),
    )


def _likely_mistake(rows: MetricRows, counts: OutcomeCounts, plan: OutcomePlan) -> str | None:
    """Return the likely mistake where no outcome, or none with a unit, belongs to a pair."""
    size = len(rows.frame)
    by_unit = int(rows.frame["request_id"].isna().sum())
    if plan.by == "unit" and by_unit and counts.unknown_units == by_unit:
        return (
            f"none of the {by_unit:,} outcomes of a unit belongs to a pair: is it the key? {_KEY}"
        )
    if size and counts.without_pair == size:
        return (
            f"none of the {size:,} outcomes belongs to a pair: are these the ids that the answers' "
            "X-Request-Id had?"
        )
    return None


def _label_counts(sides: LabelledSides) -> LabelCounts:
    """Count the requests with a label; count the labels too if nearly all requests have one."""
    table = sides.coverage()
    is_whole = all((each.rate or 0.0) >= WHOLE_COVERAGE for each in _coverage(table).values())
    return LabelCounts(table, sides.count(table) if is_whole else None)  # else no check uses them


def _labels(counts: LabelCounts, labels: int) -> OutcomeMetric:
    """Return the labels that are truths as the outcomes of their requests."""
    coverage = _coverage(counts.coverage)
    start = OutcomeMetric("labels", "request", (), outcomes=labels, coverage=coverage)
    return start if counts.outcomes is None else _counted(start, counts.outcomes)


def _coverage(table: pd.DataFrame) -> dict[str, Count]:
    found = {}
    for side, arm in (("primary", 0), ("candidate", 1)):
        here = table.loc[table["candidate"] == arm]
        known = int(here.loc[here["labelled"], "n"].sum())
        found[side] = Count(known, int(here["n"].sum()))
    return found


def _notes(metric: OutcomeMetric, plans: Mapping[str, OutcomePlan]) -> Iterator[str]:
    """Yield notes on the outcomes of a metric."""
    name = metric.name
    if name not in plans and metric.is_tracked:
        yield f"{name} is tracked, and not in the playbook: nobody has said whether it is harm"
    elif name not in plans:
        yield f"{name} is not in the playbook: taken as harm where it rises, with the defaults"
    if metric.without_pair:
        yield f"{name}: {metric.without_pair:,} of {metric.outcomes:,} outcomes belong to no pair"
    if metric.unclosed_records:
        yield (
            f"{name}: {plural(metric.unclosed_records, 'program')} that tracked outcomes left no "
            "stop record and wrote nothing for five minutes: if one was killed, its last outcomes "
            "are missing"
        )
    if metric.outside_period:
        yield (
            f"{name}: {metric.outside_period:,} outcomes left out, before their request or later "
            "than the cut-off"
        )
    if metric.repeated:
        yield f"{metric.repeated:,} outcomes left out that were there before, word for word"
    if metric.contradicted:
        yield (
            f"{name}: {metric.contradicted:,} with outcomes that contradict each other: the last "
            "one counts"
        )
