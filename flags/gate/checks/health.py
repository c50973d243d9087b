"""Checks of the candidate as a program: failures, fallbacks, latency."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.checks.age import after_a_day
from flags.gate.checks.minutes import Lasting, lasting
from flags.gate.error_rate import error_share, visit_share
from flags.gate.evidence import DURATION_EDGES, Count, Durations, Evidence, Health, Minute
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent, points, times
from flags.gate.plain_check import plain
from flags.gate.sequences import (
    DifferenceSequence,
    MeanSequence,
    QuantileRatioSequence,
    ShareSequence,
)
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

_FAILURES: Final = Wording("failures {figure} against the primary's", points, " points")
_FALLBACKS: Final = Wording("{figure} of the candidate's requests fell back", percent, " %")
_QUANTILES: Final = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}


def health_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of both sides' failures and durations.

    In the deprecation the primary may be unscored, so comparisons with it may fail, but need not
    pass.
    """
    yield from _failures(evidence, playbook, step)
    yield from _latency(evidence, playbook, step)
    if step.stage is Stage.DEPRECATION:
        yield _primary_served(evidence)


def _failures(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    health = evidence.health
    units = health.by_unit
    failed = MeanSequence(units.failures, -1.0) if units else None
    fell_back = MeanSequence(units.fallbacks) if units else None
    check = _rate(
        evidence,
        playbook,
        step,
        LimitCheck(
            "failure_rate",
            DifferenceSequence(health.failures),
            _FAILURES,
            health.failures.pairs,
            evidence.window.comparable_pairs,
            by_unit=failed,
            units=failed.units if failed else 0,
            once=True,
            rolls_back=True,
            required=step.stage is not Stage.DEPRECATION,
        ),
    )
    if check.figure is None:
        check = replace(check, reason=_why_no_pair(evidence) or check.reason)
    yield _with_cause(check, health)
    if evidence.window.rollout > 0:
        check = _rate(
            evidence,
            playbook,
            step,
            LimitCheck(
                "fallback_rate",
                ShareSequence(health.fallbacks),
                _FALLBACKS,
                health.fallbacks.total,
                evidence.window.pairs,
                by_unit=fell_back,
                units=fell_back.units if fell_back else 0,
                once=True,
                rolls_back=True,
            ),
        )
        yield _with_cause(_optional_in_canary(check, step), health)


def _why_no_pair(evidence: Evidence) -> str:
    """Return why no pair called both sides; empty if no side was skipped in all pairs."""
    for side, statuses in evidence.health.statuses.items():
        skipped = statuses.get("skipped", 0)
        if skipped and skipped == sum(statuses.values()):
            flag = f"{evidence.window.flag}.shadow"
            asked = f": is the flag {flag} off?" if side == "candidate" else ""
            return f"no pair called both sides: the {side} was skipped in all {skipped:,}{asked}"
    return ""


def _with_cause(check: Check, health: Health) -> Check:
    """Add the candidate's most frequent exception to the reason, unless failures pass."""
    errors = health.errors.get("candidate", {})
    if check.outcome is Outcome.PASS or not errors:
        return check
    name, n = max(errors.items(), key=lambda each: (each[1], each[0]))
    cause = f"; most often {name} ({n:,} of {sum(errors.values()):,} exceptions)"
    return replace(check, reason=check.reason + cause)


def _rate(evidence: Evidence, playbook: Playbook, step: Step, check: LimitCheck) -> Check:
    """Compare a rate with the limit at any time, by minute, and with the limit after a day."""
    gate, found = playbook.gate_of(step), []
    for limit in (f"{check.name}_now", check.name):
        bounds = Bounds(getattr(gate.advance, check.name), gate.rollback.limit(limit))
        share = error_share(playbook.error_rate, limit)
        found.append(replace(check, high=bounds).answer(playbook.error_rate, share))
    now, later = found
    failing = next((each for each in found if each.outcome is Outcome.FAIL), None)
    obstacle = ""
    if failing is not None and check.name == "failure_rate":
        obstacle = _only_shadows_fail(evidence, playbook, step)
    if now.outcome is Outcome.FAIL and not obstacle:
        return now
    if by_minute := _failing_minutes(evidence, playbook, step, now):
        return by_minute
    if failing is None or not obstacle:
        return after_a_day(evidence, later)
    reason = f"{failing.reason}, but {obstacle}"
    return replace(
        failing,
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
        required=True,
        beyond_advance_limit=True,
    )


def _only_shadows_fail(evidence: Evidence, playbook: Playbook, step: Step) -> str:
    """Return the words that the candidate surely fails seldom where it answers; else nothing.

    The flag draws these requests at random, so the same failures would be expected there. If only
    shadows fail (for lack of time or of places, say), a rollback would help no caller.
    """
    health, limit = evidence.health, playbook.gate_of(step).rollback.failure_rate
    alpha = error_share(playbook.error_rate, "failure_rate")
    active, units = health.active_failures, health.by_unit
    if not active.total or not ShareSequence(active).below(limit, alpha):
        return ""
    if units is not None and not MeanSequence(units.fallbacks).below(limit, alpha):
        return ""
    return (
        f"where it was to answer, {active.count:,} of {active.total:,} calls failed, surely fewer "
        f"than {percent(limit)} %, so no rollback: do shadows have less time than answers?"
    )


def _failing_minutes(
    evidence: Evidence, playbook: Playbook, step: Step, check: Check
) -> Check | None:
    """Return a FAIL if the failure rate over all requests is beyond its limit in most minutes.

    The check by units does not see the failures of a few units that send many requests.
    """
    limit = playbook.gate_of(step).rollback.limit("failure_rate_minutes")
    if check.name != "failure_rate":
        return None
    found = lasting(
        evidence, "failure_rate_minutes", playbook.error_rate, lambda each: each.failed > limit
    )
    if found is None:
        return None
    reason = (
        f"failures of all requests, whoever sent them, more than {points(limit)} points beyond the "
        f"primary's {found.words()}"
    )
    return _fails(check, reason, limit, found.alpha)


def _fails(check: Check, reason: str, limit: float, alpha: float) -> Check:
    return replace(
        check,
        outcome=Outcome.FAIL,
        reason=reason,
        limit=limit,
        confidence=1 - alpha,
        more_needed=None,
    )


def _optional_in_canary(check: Check, step: Step) -> Check:
    """Return the check, not required in a canary: few requests reach it, and the shadow has shown
    the candidate's failures."""
    surely = check.low is not None and check.limit is not None and check.low > check.limit
    if check.outcome is not Outcome.INCONCLUSIVE or step.stage is not Stage.CANARY or surely:
        return check
    reason = f"{check.reason}; it must pass from the ramp on"
    return replace(check, required=False, reason=reason)


def _latency(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    gate, sides = playbook.gate_of(step), evidence.health.durations
    none = Durations((0,) * (len(DURATION_EDGES) + 1))
    primary, candidate = sides.get("primary", none), sides.get("candidate", none)
    calls = min(sum(primary.counts), sum(candidate.counts))
    enough = gate.advance.fast_enough.total_seconds()
    slow = _slow_minutes(evidence, playbook, step)
    for name, probability in _QUANTILES.items():
        sequence = QuantileRatioSequence(primary, candidate, probability)
        slowest = sequence.side(candidate, playbook.error_rate)[1]
        if calls and slowest <= enough and not (slow and name == "latency_p50"):
            yield plain(
                name,
                Outcome.PASS,
                calls,
                f"candidate's {name[-3:]} is at most {1000 * slowest:.3g} ms, fast enough by "
                f"itself (limit {1000 * enough:.3g} ms)",
                figure=sequence.value,
                limit=getattr(gate.advance, name),
            )
            continue
        check = LimitCheck(
            name,
            sequence,
            Wording(f"{name[-3:]} {{figure}} primary's", times, "x", counted="calls"),
            calls,
            evidence.window.comparable_pairs,
            high=Bounds(getattr(gate.advance, name), getattr(gate.rollback, name)),
            rolls_back=True,
            required=step.stage is not Stage.DEPRECATION,
        )
        if not calls:
            reason = f"{name.replace('_', ' ')}: no call of both sides counts yet"
            found = replace(check.answer(playbook.error_rate), reason=reason)
            yield found if _why_no_pair(evidence) else _after_warm_up(evidence, found)
        elif slow and name == "latency_p50":
            limit = gate.rollback.limit("latency_p50_now")
            reason = f"p50 beyond {times(limit)}x primary's {slow.words()}"
            yield _fails(check.answer(playbook.error_rate), reason, limit, slow.alpha)
        else:
            yield _after_warm_up(evidence, _by_blocks(evidence, playbook, step, check))


def _after_warm_up(evidence: Evidence, check: Check) -> Check:
    """Add the warm-up to the reason if an open check has fewer calls than the warm-up."""
    warm_up = evidence.health.warm_up
    if check.outcome is not Outcome.INCONCLUSIVE or check.n >= warm_up:
        return check
    reason = f"{check.reason}; the first {warm_up:,} requests of a worker are its warm-up"
    return replace(check, reason=reason)


def _slow_minutes(evidence: Evidence, playbook: Playbook, step: Step) -> Lasting | None:
    """Return since when the candidate's median is far above the primary's in most minutes."""
    gate = playbook.gate_of(step)
    limit, enough = gate.rollback.limit("latency_p50_now"), gate.advance.fast_enough.total_seconds()

    def is_slow(minute: Minute) -> bool | None:
        if minute.primary is None or minute.candidate is None:
            return None
        return minute.candidate > max(limit * minute.primary, enough)

    return lasting(evidence, "latency_p50_now", playbook.error_rate, is_slow)


def _by_blocks(evidence: Evidence, playbook: Playbook, step: Step, check: LimitCheck) -> Check:
    """Check a latency quantile, which fails only if most blocks of ten minutes are beyond too.

    Calls stall together, so they are not independent. With the same distribution on both sides, the
    candidate is still slower in at most half of the blocks (a sign test, as a confidence sequence).
    Only blocks of this step are counted, so each step has its part of the error rate.
    """
    alpha = visit_share(error_share(playbook.error_rate, check.name), evidence.window.steps_taken)
    ratios = evidence.health.block_ratios.get(check.name, ())
    gate = playbook.gate_of(step)

    def share(limit: float) -> ShareSequence:
        return ShareSequence(Count(sum(each > limit for each in ratios), len(ratios)))

    found = check.answer(playbook.error_rate)
    beyond = share(getattr(gate.rollback, check.name))
    if beyond.above(0.5, alpha):
        reason = (
            f"{check.name[-3:]} beyond the rollback limit "
            f"{times(getattr(gate.rollback, check.name))}x in {beyond.counted.count:,} of "
            f"{beyond.counted.total:,} blocks of ten minutes, {times(found.figure or 0)}x in all"
        )
        limit = getattr(gate.rollback, check.name)
        return replace(
            found, outcome=Outcome.FAIL, reason=reason, limit=limit, confidence=1 - alpha
        )
    if found.outcome is Outcome.FAIL:
        return replace(
            found,
            outcome=Outcome.INCONCLUSIVE,
            reason=f"{found.reason}: but in {beyond.counted.count:,} of {beyond.counted.total:,} "
            "blocks of ten minutes only, so it may be a stall",
        )
    slow = share(getattr(gate.advance, check.name))
    if found.outcome is Outcome.PASS and slow.above(0.5, playbook.error_rate):
        return replace(
            found,
            outcome=Outcome.INCONCLUSIVE,
            reason=f"{found.reason}: but beyond the limit in {slow.counted.count:,} of "
            f"{slow.counted.total:,} blocks of ten minutes of this step",
        )
    return found


def _primary_served(evidence: Evidence) -> Check:
    """Check that the primary answered no request in the whole window, so that it can be removed."""
    served, fallbacks = evidence.health.primary_served, evidence.health.fallbacks
    if not served.total:
        reason = "no answered pair shows who answers"
        return plain("primary_served", Outcome.INCONCLUSIVE, 0, reason, limit=0)
    return plain(
        "primary_served",
        Outcome.FAIL if served.count or fallbacks.count else Outcome.PASS,
        served.total,
        f"the primary answered {served.count:,} of {served.total:,} requests, {fallbacks.count:,} "
        "of them as a fallback; limit 0",
        figure=served.count,
        limit=0,
    )
