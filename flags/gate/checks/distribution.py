"""Checks of the distribution of scores and numbers. They never roll back.

A number without a threshold has no alarms. In their place, both sides are compared beyond quantiles
of the primary's numbers: how often each side is there (the distribution), and whether on the same
requests (the ranks).
"""

from collections.abc import Iterator
from dataclasses import replace

from flags.gate.checks.number import error_is_shown, is_within_tolerance
from flags.gate.evidence import RANKED, Count, Evidence, Output, Tail
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent, times
from flags.gate.sequences import RatioSequence, ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage


def distribution_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of outputs without a threshold, and of outputs that the playbook names."""
    for output in evidence.outputs:
        plan = playbook.outputs.get(output.name)
        wanted = plan.distribution if plan else None
        if wanted is None:
            wanted = output.alarms is None
        if wanted and step.stage is not Stage.DEPRECATION:
            limits = playbook.gate_of(step, output=output.name).advance
            why = _excuse(evidence, playbook, step, output) if output.alarms is None else ""
            for check in _checks(output, limits, playbook.error_rate):
                yield _described(check, why) if why else check


def _excuse(evidence: Evidence, playbook: Playbook, step: Step, output: Output) -> str:
    """Return why a different distribution does not matter; empty if it does."""
    if is_within_tolerance(evidence, playbook, output.name):
        return "the sides differ by no more than the tolerance"
    return "labels show the error" if error_is_shown(evidence, playbook, step, output.name) else ""


def _described(check: Check, why: str) -> Check:
    """Return the check without a part in the decision: the difference does not matter."""
    if check.outcome is not Outcome.FAIL:
        return replace(check, required=False, more_needed=None)
    reason = f"{check.reason}: {why}"
    return replace(
        check, outcome=Outcome.INCONCLUSIVE, reason=reason, required=False, more_needed=None
    )


def _checks(output: Output, limits: AdvanceLimits, error_rate: float) -> Iterator[Check]:
    for tail in output.tails:
        where = "above" if tail.probability >= 0.5 else "below"
        place = f"{where} the primary's {100 * tail.probability:g} % quantile"
        yield _rate(output, tail, place, limits, error_rate)
        if tail.probability in RANKED:
            yield _ranks(output, tail, place, limits, error_rate)


def _rate(
    output: Output, tail: Tail, place: str, limits: AdvanceLimits, error_rate: float
) -> Check:
    table, limit = tail.beyond, limits.distribution_ratio
    return LimitCheck(
        "distribution_ratio",
        RatioSequence(table),
        Wording(f"outputs {place}: {{figure}} the primary's", times, "x"),
        table.pairs,
        table.pairs,
        high=Bounds(limit, limit),
        low=Bounds(1 / limit, 1 / limit),
        output=output.name,
        required=table.primary.count + table.candidate.count >= limits.min_alarms,
    ).answer(error_rate)


def _ranks(
    output: Output, tail: Tail, place: str, limits: AdvanceLimits, error_rate: float
) -> Check:
    table = tail.beyond
    return LimitCheck(
        "rank_overlap",
        ShareSequence(Count(table.both, table.primary.count)),
        Wording(
            f"of the primary's outputs {place}, the candidate has {{figure}} there too",
            percent,
            " %",
        ),
        table.primary.count,
        table.pairs,
        low=Bounds(limits.rank_overlap, limits.rank_overlap),
        output=output.name,
        required=limits.rank_overlap > 0,
    ).answer(error_rate)
