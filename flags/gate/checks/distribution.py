"""Check that the outputs are distributed as expected. Nothing here rolls back.

A number without a threshold leads to no alarms, so what both sides say beyond quantiles of the
primary's numbers takes their place: how often (the distribution), and of the same requests or of
others (the ranks).
"""

from collections.abc import Iterator
from dataclasses import replace

from flags.gate.checks.number import error_is_shown
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
    """Yield the checks of outputs without a threshold, and of those that the playbook names."""
    for output in evidence.outputs:
        plan = playbook.outputs.get(output.name)
        wanted = plan.distribution if plan else None
        if wanted is None:
            wanted = output.alarms is None
        if wanted and step.stage is not Stage.DEPRECATION:
            limits = playbook.gate_of(step, output=output.name).advance
            shown = output.alarms is None and error_is_shown(evidence, playbook, step, output.name)
            for check in _checks(output, limits, playbook.error_rate):
                yield _described(check) if shown else check


def _described(check: Check) -> Check:
    """Return a check that decides nothing: labels show that what is different is not worse."""
    if check.outcome is not Outcome.FAIL:
        return replace(check, required=False, needed=None)
    reason = f"{check.reason}: labels show the error"
    return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason, required=False, needed=None)


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
