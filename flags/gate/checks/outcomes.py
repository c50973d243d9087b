"""Checks of what happened downstream, by the side that the flag assigned."""

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
"""What the labels are called when they are held against each other by assigned side."""

MOST_MIXED: Final = 0.01
"""Share of units that saw both sides, though no move of the flag explains it, at most."""

MOST_LOST: Final = 0.001
"""Share of the tracked outcomes that never arrived, at most."""

MOST_EARLY: Final = 0.05
"""Share of the outcomes of requests that are dated before them, at most."""

FALSIFICATION: Final = 0.01
"""Error rate of the test that must find nothing: over all looks, with nothing to find."""

WHOLE_COVERAGE: Final = 0.95
"""Of labels, the share of either side's requests from which on none can have been selected."""

_UNDECLARED: Final = OutcomePlan(required_from=100)


def outcome_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of each metric: those of the playbook, and others of a file handed in.

    A metric that is tracked and not in the playbook is not looked at: nobody said that it is harm.
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
        yield from _labels(labels, _found_by_answers(evidence), rates)


@dataclass(frozen=True, slots=True)
class _Rates:
    """Hold the error rates of a metric: to pass, and its part to roll back."""

    error_rate: float
    share: float
    required: bool
    """Whether going on needs it."""


def _missing(name: str, others: list[str], rates: _Rates) -> Check:
    reason = "no outcomes are there: hand them in, or track them"
    if others:
        named = ", ".join(repr(each) for each in others[:5])
        reason = f"no outcomes are there; the metrics that were handed in are {named}"
    return _of(name, plain("outcomes", Outcome.INCONCLUSIVE, 0, reason), rates.required)


def _metric(name: str, found: OutcomeMetric, plan: OutcomePlan, rates: _Rates) -> Iterator[Check]:
    if found.obstacle is not None:
        yield _of(name, plain("outcomes", Outcome.INCONCLUSIVE, 0, found.obstacle), rates.required)
        return
    known = [cell for cell in found.cells if cell.flipped is not None]
    by_flips = bool(known)
    if not found.cells:
        unit = "requests" if found.by == "request" else "units"
        reason = (
            f"no {unit} are old enough yet, or none was drawn between both sides "
            f"({found.young:,} younger than the cut-off)"
        )
        yield _of(name, plain("outcomes", Outcome.INCONCLUSIVE, 0, reason), rates.required)
        return
    if by_flips:
        flips = sum(cell.units for cell in known if cell.flipped)
        words = f"{{figure}} the primary's over all traffic, by {flips:,} flips"
        sequence = FlipRatioSequence(tuple(known))
        yield from _ratio("outcome_ratio", name, sequence, words, known, plan, rates)
        yield from _falsified(name, known)
    words = "{figure} the primary's, of all units"
    rest = replace(rates, required=rates.required and not by_flips)
    whole = UnitRatioSequence(found.cells)
    yield from _ratio("outcome_ratio_all", name, whole, words, found.cells, plan, rest)
    yield from _trust(name, found, rates)


def _of(name: str, check: Check, required: bool) -> Check:
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
    """Yield a ratio against its limits.

    It has one limit only, and LimitCheck spends half of an error rate on each: so both ratios of a
    metric together spend its part.
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
    yield _of(name, found, required=found.required or surely)


def _falsified(name: str, known: list[OutcomeCell]) -> Iterator[Check]:
    """Test where it must find nothing: on the units whose sides always decided alike."""
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
    yield _of(name, check, required=False)


def _trust(name: str, found: OutcomeMetric, rates: _Rates) -> Iterator[Check]:
    """Yield what makes the ratios unfit to go on by."""
    dated, made = found.used + found.outside, found.outcomes + found.lost
    early, mixed, lost = MOST_EARLY, MOST_MIXED, MOST_LOST
    if found.early > early * dated:
        reason = (
            f"{found.early:,} of {dated:,} outcomes are dated before their request, limit "
            f"{percent(early)} %, and do not count: are the times of another time zone?"
        )
        share = found.early / dated
        yield _unfit(name, "outcome_times", share, dated, early, reason, required=rates.required)
    if found.mixed.rate is not None and found.mixed.rate > mixed:
        share, units = found.mixed.rate, found.mixed.total
        reason = (
            f"{percent(share)} % of {units:,} units saw both sides though the rollout stayed, "
            f"limit {percent(mixed)} %: is the flag sticky on the unit?"
        )
        yield _unfit(name, "outcome_mixed", share, units, mixed, reason, required=True)
    if found.lost > lost * made:
        reason = (
            f"{found.lost:,} of {made:,} tracked outcomes never arrived, limit {percent(lost)} %"
        )
        share = found.lost / made
        yield _unfit(name, "outcome_loss", share, made, lost, reason, required=rates.required)


def _unfit(
    name: str, check: str, share: float, total: int, limit: float, reason: str, *, required: bool
) -> Check:
    outcome = Outcome.FAIL if required else Outcome.INCONCLUSIVE
    found = plain(check, outcome, total, reason, figure=share, limit=limit)
    return _of(name, found, required=required)


def _labels(labels: OutcomeMetric, found: AnsweredLabels | None, rates: _Rates) -> Iterator[Check]:
    """Hold positive labels against each other by assigned side.

    Where nearly every request of either side has one, the answer cannot have selected them. If
    they differ all the same, the answer changed what the requests turned out to be; or it made
    people look (`found`), and then more of them are no harm.
    """
    coverage = labels.coverage or {}
    rated = [each.rate for each in coverage.values()]
    if len(rated) < 2 or any(each is None or each < WHOLE_COVERAGE for each in rated):
        return
    words = "positive labels {figure} as frequent where the candidate was assigned"
    sequence = UnitRatioSequence(labels.cells)
    for check in _ratio("label_ratio", LABELS, sequence, words, labels.cells, _UNDECLARED, rates):
        if found is None or not check.rolls_back or _differ_where_alike(labels):
            yield check
        else:
            reason = f"{check.reason}; no rollback: {found.unknown('whether that is harm')}"
            yield replace(check, rolls_back=False, reason=reason)


def _found_by_answers(evidence: Evidence) -> AnsweredLabels | None:
    """Return how labels follow the alarms that were answered, of the first output of which so."""
    for each in evidence.outputs:
        if each.labelling is None:
            continue
        answered = answered_labels(each.labelling.old, each.labelling.alike)
        if answered is not None and answered.follows is Follows.FOUND:
            return answered
    return None


def _differ_where_alike(labels: OutcomeMetric) -> bool:
    """Say whether positive labels are surely more frequent by a side whose decision is the same."""
    agreeing = tuple(cell for cell in labels.cells if cell.flipped is False)
    return UnitRatioSequence(agreeing).above(1.0, FALSIFICATION / 2)
