"""Checks of the candidate as a program: failures, fallbacks, latency."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.checks.age import young
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

    In the deprecation, the primary need not be scored any more: what compares with it may fail, but
    need not pass.
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
            evidence.window.carried,
            by_unit=failed,
            units=failed.units if failed else 0,
            once=True,
            rolls_back=True,
            required=step.stage is not Stage.DEPRECATION,
        ),
    )
    if check.figure is None:
        check = replace(check, reason=_none_of_both(evidence) or check.reason)
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
        yield _with_cause(_not_before_the_ramp(check, step), health)


def _none_of_both(evidence: Evidence) -> str:
    """Say why no pair called both sides; nothing where there is no pair."""
    for side, statuses in evidence.health.statuses.items():
        skipped = statuses.get("skipped", 0)
        if skipped and skipped == sum(statuses.values()):
            flag = f"{evidence.window.flag}.shadow"
            asked = f": is the flag {flag} off?" if side == "candidate" else ""
            return f"no pair called both sides: the {side} was skipped in all {skipped:,}{asked}"
    return ""


def _with_cause(check: Check, health: Health) -> Check:
    """Name the candidate's most frequent exception where failures do not pass."""
    errors = health.errors.get("candidate", {})
    if check.outcome is Outcome.PASS or not errors:
        return check
    name, n = max(errors.items(), key=lambda each: (each[1], each[0]))
    cause = f"; most often {name} ({n:,} of {sum(errors.values()):,} exceptions)"
    return replace(check, reason=check.reason + cause)


def _rate(evidence: Evidence, playbook: Playbook, step: Step, check: LimitCheck) -> Check:
    """Hold a rate against the limit that holds at once, then against that of a whole day."""
    gate, found = playbook.gate_of(step), []
    for limit in (f"{check.name}_now", check.name):
        bounds = Bounds(getattr(gate.advance, check.name), gate.rollback.limit(limit))
        share = error_share(playbook.error_rate, limit)
        found.append(replace(check, high=bounds).answer(playbook.error_rate, share))
    now, later = found
    if now.outcome is Outcome.FAIL:
        return now
    of_all = _failing_of_late(evidence, playbook, step, now)
    return of_all or young(evidence, later)


def _failing_of_late(
    evidence: Evidence, playbook: Playbook, step: Step, check: Check
) -> Check | None:
    """Return the failure rate of all requests where it is far beyond, minute by minute.

    The check by units cannot see a few large ones, whose callers are many all the same.
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
        check, outcome=Outcome.FAIL, reason=reason, limit=limit, confidence=1 - alpha, needed=None
    )


def _not_before_the_ramp(check: Check, step: Step) -> Check:
    """Let a canary go on that few requests reach: what fails has been seen in the shadow too."""
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
    slow = _slow_of_late(evidence, playbook, step)
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
            evidence.window.carried,
            high=Bounds(getattr(gate.advance, name), getattr(gate.rollback, name)),
            rolls_back=True,
            required=step.stage is not Stage.DEPRECATION,
        )
        if not calls:
            reason = f"{name.replace('_', ' ')}: no call of both sides counts yet"
            found = replace(check.answer(playbook.error_rate), reason=reason)
            yield found if _none_of_both(evidence) else _after_warm_up(evidence, found)
        elif slow and name == "latency_p50":
            limit = gate.rollback.limit("latency_p50_now")
            reason = f"p50 beyond {times(limit)}x primary's {slow.words()}"
            yield _fails(check.answer(playbook.error_rate), reason, limit, slow.alpha)
        else:
            yield _after_warm_up(evidence, _by_blocks(evidence, playbook, step, check))


def _after_warm_up(evidence: Evidence, check: Check) -> Check:
    """Say what does not count, where an open check has fewer calls than that."""
    warm_up = evidence.health.warm_up
    if check.outcome is not Outcome.INCONCLUSIVE or check.n >= warm_up:
        return check
    reason = f"{check.reason}; the first {warm_up:,} requests of a worker are its warm-up"
    return replace(check, reason=reason)


def _slow_of_late(evidence: Evidence, playbook: Playbook, step: Step) -> Lasting | None:
    """Return since when the candidate's median is far beyond the primary's, minute by minute."""
    gate = playbook.gate_of(step)
    limit, enough = gate.rollback.limit("latency_p50_now"), gate.advance.fast_enough.total_seconds()

    def is_slow(minute: Minute) -> bool | None:
        if minute.primary is None or minute.candidate is None:
            return None
        return minute.candidate > max(limit * minute.primary, enough)

    return lasting(evidence, "latency_p50_now", playbook.error_rate, is_slow)


def _by_blocks(evidence: Evidence, playbook: Playbook, step: Step, check: LimitCheck) -> Check:
    """Let a quantile fail only if most ten minutes of the step say so too.

    Calls stall together, so that calls are not independent; with the same law on both sides, the
    candidate is the slower one in at most half of the blocks all the same (a sign test, as a
    confidence sequence). The blocks are those of the step, so each step has its part of the share.
    """
    alpha = visit_share(error_share(playbook.error_rate, check.name), evidence.window.visit)
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
    """Prove that nobody needs the primary: it answered nothing in the whole window."""
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
