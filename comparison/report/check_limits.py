"""The limits that a check is held against: to go on, and to roll back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flags.gate.verdict import Check, Outcome
from flags.playbook.model import AdvanceLimits, Playbook, RollbackLimits, Step
from flags.playbook.outcomes import OutcomePlan

_BOTH_WAYS: Final = {
    "alarm_ratio",
    "alarm_break",
    "no_alarm_ratio",
    "segment_alarm_ratio",
    "recent_alarm_ratio",
    "distribution_ratio",
    "class_ratio",
}
"""Ratios whose limit x holds for 1/x too."""
_LOSSES: Final = {"recall_loss", "accuracy_loss", "ndcg_loss"}
"""Where the figure is the candidate's less the primary's, so that a loss is below 0."""
_BEFORE_A_DAY: Final = {
    "alarm_ratio": "alarm_ratio_now",
    "failure_rate": "failure_rate_now",
    "fallback_rate": "fallback_rate_now",
    "text_rule": "text_rule_now",
    "empty_rankings": "empty_rankings_now",
}
_BEFORE_A_WEEK: Final = {"alarm_ratio": "alarm_ratio_day"}
_DAY: Final = timedelta(days=1)

Write = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold one limit; `both_ways` says that a ratio may not be below its inverse either."""

    value: float
    both_ways: bool = False

    def written(self, write: Write) -> str:
        """Return it as text, a range where it bounds from both sides."""
        if self.both_ways and self.value:
            low, high = sorted((self.value, 1 / self.value))
            return f"{write(low)} to {write(high)}"
        return write(self.value)


def check_limits(
    check: Check, playbook: Playbook, step: Step, age: timedelta
) -> tuple[Limit | None, Limit | None]:
    """Return the limits to go on and to roll back, None where there is none.

    `age` is that of the evidence: some limits that roll back hold at once, others from a day or a
    week on.
    """
    if check.name in {"outcome_ratio", "outcome_ratio_all"}:
        plan = playbook.outcomes.get(check.subject or "", OutcomePlan())
        both = (plan.margin, plan.rollback)
        advance, rollback = both if plan.harm == "up" else (1 / both[0], 1 / both[1])
        return Limit(advance), Limit(rollback)
    ways = check.name in _BOTH_WAYS
    if check.name == "alarm_break":
        return None, None if check.limit is None else Limit(check.limit, ways)
    if check.name in AdvanceLimits.model_fields and check.name in RollbackLimits.model_fields:
        segment = check.segment.partition("=")[0] if check.segment else None
        gate = playbook.gate_of(step, output=check.output, segment=segment)
        sign = -1 if check.name in _LOSSES else 1
        advance = sign * float(getattr(gate.advance, check.name))
        rollback = sign * gate.rollback.limit(_in_force(check.name, age))
        if check.outcome is Outcome.FAIL and check.rolls_back and check.limit is not None:
            rollback = check.limit  # the one that decided
        return Limit(advance, ways), Limit(rollback, ways)
    limit = None if check.limit is None else Limit(check.limit, ways)
    return (None, limit) if check.name in RollbackLimits.model_fields else (limit, None)


def _in_force(name: str, age: timedelta) -> str:
    if age < _DAY:
        return _BEFORE_A_DAY.get(name, name)
    return _BEFORE_A_WEEK.get(name, name) if age < 7 * _DAY else name
