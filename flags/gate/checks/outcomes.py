"""Checks of outcomes (what happened downstream) by the side that the flag assigned."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.answered_labels import AnsweredLabels, Follows, answered_labels
from flags.gate.error_rate import SHARES
from flags.gate.evidence import Evidence, OutcomeCell, OutcomeMetric
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent, times
from flags.gate.plain_check import plain
from flags.gate.sequences import FlipRatioSequence, UnitRatioSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step
from flags.playbook.outcomes import OutcomePlan

LABELS: Final = "labels"
"""Name of the labels when they are compared by assigned side, as an outcome metric."""

MOST_MIXED: Final = 0.01
"""Largest share of units that saw both sides although no change of the flag explains it."""

MOST_LOST: Final = 0.001
"""Largest share of tracked outcomes that never arrived."""

MOST_EARLY: Final = 0.05
"""Largest share of outcomes that are dated before their request."""

FALSIFICATION: Final = 0.01
"""Error rate, over all looks, of a falsification test: one that should find no difference."""

WHOLE_COVERAGE: Final = 0.95
"""Share of labelled requests on both sides from which on labels count as unselected."""

_UNDECLARED: Final = OutcomePlan(required_from=100)


def outcome_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of each metric of the playbook, and of other metrics of a given file.

    A tracked metric that is not in the playbook is not checked: it may not be a harm.
    """
    found = {each.name: each for each in evidence.outcomes}
    others = [each for each in evidence.outcomes if each.name not in playbook.outcomes]
    others = [each for each in others if not each.is_tracked]
    weights = sum(plan.weight for plan in playbook.outcomes.values()) + len(others) + 1.0
    part = playbook.error_rate * SHARES["outcomes"] / weights
    for name, plan in playbook.outcomes.items():
        needed = plan.required_from <= step.rollout and 0 < step.rollout < 100
        error_rate = playbook.error_rate, part * plan.weight
        rates = _Rates(*error_rate, required=needed)
        if (metric := found.get(name)) is None:
            yield _missing(name, [each.name for each in others], rates)
        else:
            yield from _metric(name, metric, plan, rates)
    for each in others:
        yield from _metric(
            each.name, each, _UNDECLARED, _Rates(playbook.error_rate, part, required=False)
        )
    if (labels := evidence.labels_by_side) is not None:
        rates = _Rates(playbook.error_rate, part, required=False)
        yield from _label_ratio(labels, _answer_dependence(evidence), rates)


@dataclass(frozen=True, slots=True)
class _Rates:
    """The error rates of a metric's checks: `error_rate` to pass, `share` of it to roll back."""

    error_rate: float
    share: float
    required: bool
    """Whether ADVANCE needs the metric to pass."""


def _missing(name: str, others: list[str], rates: _Rates) -> Check:
    reason = "no outcomes are there: hand them in, or track them"
    if others:
        named = ", ".join(repr(each) for each in others[:5])
        reason = f"no outcomes are there; the metrics that were handed in are {named}"
    return _about(name, plain("outcomes", Outcome.INCONCLUSIVE, 0, reason), rates.required)


def _metric(name: str, metric: OutcomeMetric, plan: OutcomePlan, rates: _Rates) -> Iterator[Check]:
    if metric.obstacle is not None:
        yield _about(
            name, plain("outcomes", Outcome.INCONCLUSIVE, 0, metric.obstacle), rates.required
        )
        return
    known = [cell for cell in metric.cells if cell.flipped is not None]
    by_flips = bool(known)
    if not metric.cells:
        unit = "requests" if metric.by == "request" else "units"
        reason = (
            f"no {unit} are old enough yet, or none was drawn between both sides "
            f"({metric.young_requests:,} younger than the cut-off)"
        )
        yield _about(name, plain("outcomes", Outcome.INCONCLUSIVE, 0, reason), rates.required)
        return
    if by_flips:
        flips = sum(cell.units for cell in known if cell.flipped)
        words = f"{{figure}} the primary's over all traffic, by {flips:,} flips"
        sequence = FlipRatioSequence(tuple(known))
        yield from _ratio("outcome_ratio", name, sequence, words, known, plan, rates)
        yield from _falsification(name, known)
    words = "{figure} the primary's, of all units"
    rest = replace(rates, required=rates.required and not by_flips)
    whole = UnitRatioSequence(metric.cells)
    yield from _ratio("outcome_ratio_all", name, whole, words, metric.cells, plan, rest)
    yield from _data_faults(name, metric, rates)


def _about(name: str, check: Check, required: bool) -> Check:
    return replace(check, subject=name, reason=f"{name}: {check.reason}", required=required)


def _ratio(
    check: str,
    name: str,
    sequence: FlipRatioSequence | UnitRatioSequence,
    words: str,
    cells: "list[OutcomeCell] | tuple[OutcomeCell, ...]",
    plan: OutcomePlan,
    rates: _Rates,
) -> Iterator[Check]:
    """Yield the check of a ratio.

    It has one limit only, on which LimitCheck spends half of its error rate, so the two ratios of a
    metric together spend the metric's share.
    """
    events = sum(cell.units for cell in cells if cell.total)
    is_up = plan.harm == "up"
    found = LimitCheck(
        check,
        sequence,
        Wording(words, times, "x", counted="events", wanted="requests"),
        events,
        sum(cell.units for cell in cells),
        high=Bounds(plan.margin, plan.rollback) if is_up else None,
        low=None if is_up else Bounds(1 / plan.margin, 1 / plan.rollback),
        rolls_back=True,
        required=rates.required,
    ).answer(rates.error_rate, rates.share)
    if found.figure is None:
        found = replace(found, reason="nothing has happened yet, on either side")
    elif found.outcome is Outcome.FAIL and found.figure in (0.0, math.inf):
        side = "candidate" if found.figure == 0 else "primary"
        reason = (
            f"{found.reason}; none of the {side}'s: does the table have outcomes of both sides?"
        )
        found = replace(found, reason=reason)
    worse = sequence.above if is_up else sequence.below
    limit = plan.margin if is_up else 1 / plan.margin
    surely = found.figure is not None and worse(limit, rates.error_rate / 2)
    yield _about(name, found, required=found.required or surely)


def _falsification(name: str, known: list[OutcomeCell]) -> Iterator[Check]:
    """Yield a falsification test: units whose sides always decided alike must not differ."""
    agreeing = tuple(cell for cell in known if not cell.flipped)
    sequence = UnitRatioSequence(agreeing)
    events = sum(cell.units for cell in agreeing if cell.total)
    if sequence.value is None:
        return
    half = FALSIFICATION / 2
    differs = sequence.above(1.0, half) or sequence.below(1.0, half)
    low, high = sequence.interval(FALSIFICATION)
    reason = (
        f"{times(sequence.value)}x the primary's where both sides decide alike "
        f"({percent(1 - FALSIFICATION)} % CI {times(low)} to {times(high)}, events={events:,})"
    )
    if differs:
        reason += (
            ": equal decisions did not have equal outcomes, so something else than the decision "
            "reaches the callers, or the outcomes are not counted alike"
        )
    check = Check(
        "outcome_agreement",
        None,
        None,
        Outcome.FAIL if differs else Outcome.PASS,
        sequence.value,
        low,
        high,
        1.0,
        events,
        reason,
        confidence=1 - FALSIFICATION,
    )
    yield _about(name, check, required=False)


def _data_faults(name: str, metric: OutcomeMetric, rates: _Rates) -> Iterator[Check]:
    """Yield a check for each fault of the data that makes the ratios unreliable."""
    dated, made = metric.used + metric.outside_period, metric.outcomes + metric.lost
    early, mixed, lost = MOST_EARLY, MOST_MIXED, MOST_LOST
    if metric.early > early * dated:
        reason = (
            f"{metric.early:,} of {dated:,} outcomes are dated before their request, limit "
            f"{percent(early)} %, and do not count: are the times of another time zone?"
        )
        share = metric.early / dated
        yield _fault(name, "outcome_times", share, dated, early, reason, required=rates.required)
    if metric.mixed.rate is not None and metric.mixed.rate > mixed:
        share, units = metric.mixed.rate, metric.mixed.total
        reason = (
            f"{percent(share)} % of {units:,} units saw both sides though the rollout stayed, "
            f"limit {percent(mixed)} %: is the flag sticky on the unit?"
        )
        yield _fault(name, "outcome_mixed", share, units, mixed, reason, required=True)
    if metric.lost > lost * made:
        reason = (
            f"{metric.lost:,} of {made:,} tracked outcomes never arrived, limit {percent(lost)} %"
        )
        share = metric.lost / made
        yield _fault(name, "outcome_loss", share, made, lost, reason, required=rates.required)


def _fault(
    name: str, check: str, share: float, total: int, limit: float, reason: str, *, required: bool
) -> Check:
    outcome = Outcome.FAIL if required else Outcome.INCONCLUSIVE
    found = plain(check, outcome, total, reason, figure=share, limit=limit)
    return _about(name, found, required=required)


def _label_ratio(
    labels: OutcomeMetric, dependence: AnsweredLabels | None, rates: _Rates
) -> Iterator[Check]:
    """Compare how frequent positive labels are by assigned side.

    If nearly every request of both sides has a label, the answer did not select the labels. If
    they still differ, the answer changed the truth of the requests, or it led people to investigate
    (`dependence`); then more positive labels are no harm.
    """
    coverage = labels.coverage or {}
    rated = [each.rate for each in coverage.values()]
    if len(rated) < 2 or any(each is None or each < WHOLE_COVERAGE for each in rated):
        return
    words = "positive labels {figure} as frequent where the candidate was assigned"
    sequence = UnitRatioSequence(labels.cells)
    for check in _ratio("label_ratio", LABELS, sequence, words, labels.cells, _UNDECLARED, rates):
        if dependence is None or not check.rolls_back or _differs_on_agreement(labels):
            yield check
        else:
            cause = dependence.unknown_reason("whether that is harm")
            reason = f"{check.reason}; no rollback: {cause}"
            yield replace(check, rolls_back=False, reason=reason)


def _answer_dependence(evidence: Evidence) -> AnsweredLabels | None:
    """Return the dependence of labels on answered alarms, of the first output that has one."""
    for each in evidence.outputs:
        if each.labelling is None:
            continue
        answered = answered_labels(each.labelling.old, each.labelling.mean_burst_size)
        if answered is not None and answered.follows is Follows.FOUND:
            return answered
    return None


def _differs_on_agreement(labels: OutcomeMetric) -> bool:
    """Say whether positives are surely more frequent in the candidate's arm on equal decisions."""
    agreeing = tuple(cell for cell in labels.cells if cell.flipped is False)
    return UnitRatioSequence(agreeing).above(1.0, FALSIFICATION / 2)
