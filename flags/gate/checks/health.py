"""Checks of the candidate as a program: failures, fallbacks, latency."""

from collections.abc import Iterator
from typing import Final

from flags.gate.checks.integrity import plain
from flags.gate.error_rate import error_share
from flags.gate.evidence import DURATION_EDGES, Durations, Evidence
from flags.gate.limit_check import Bounds, LimitCheck, Wording, percent, points, times
from flags.gate.sequences import DifferenceSequence, QuantileRatioSequence, ShareSequence
from flags.gate.verdict import Check, Outcome
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
    gate, health = playbook.gate_of(step), evidence.health
    yield LimitCheck(
        "failure_rate",
        DifferenceSequence(health.failures),
        _FAILURES,
        health.failures.pairs,
        evidence.window.pairs,
        high=Bounds(gate.advance.failure_rate, gate.rollback.failure_rate),
        rolls_back=True,
        required=step.stage is not Stage.DEPRECATION,
    ).answer(playbook.error_rate, error_share(playbook.error_rate, "failure_rate"))
    if evidence.window.rollout > 0:
        yield LimitCheck(
            "fallback_rate",
            ShareSequence(health.fallbacks),
            _FALLBACKS,
            health.fallbacks.total,
            evidence.window.pairs,
            high=Bounds(gate.advance.fallback_rate, gate.rollback.fallback_rate),
            rolls_back=True,
        ).answer(playbook.error_rate, error_share(playbook.error_rate, "fallback_rate"))


def _latency(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    gate, sides = playbook.gate_of(step), evidence.health.durations
    none = Durations((0,) * (len(DURATION_EDGES) + 1))
    primary, candidate = sides.get("primary", none), sides.get("candidate", none)
    calls = min(sum(primary.counts), sum(candidate.counts))
    enough = gate.advance.fast_enough.total_seconds()
    for name, probability in _QUANTILES.items():
        sequence = QuantileRatioSequence(primary, candidate, probability)
        slowest = sequence.side(candidate, playbook.error_rate)[1]
        if calls and slowest <= enough:
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
        yield LimitCheck(
            name,
            sequence,
            Wording(f"{name[-3:]} {{figure}} primary's", times, "x", counted="calls"),
            calls,
            evidence.window.pairs,
            high=Bounds(getattr(gate.advance, name), getattr(gate.rollback, name)),
            rolls_back=True,
            required=step.stage is not Stage.DEPRECATION,
        ).answer(playbook.error_rate, error_share(playbook.error_rate, name))


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
