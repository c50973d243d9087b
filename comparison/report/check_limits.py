"""The limits that a check is held against: to go on, and to roll back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from comparison.report.check_table import Write, check_row
from flags.gate.verdict import Check, Outcome
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.model import Playbook, Step
from flags.playbook.outcomes import OutcomePlan
from flags.playbook.rollback_limits import RollbackLimits

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold one limit; `both_ways` says that a ratio may not be below its inverse either."""

    value: float
    both_ways: bool = False

    @property
    def bounds(self) -> tuple[float, ...]:
        """Return the value, or both ends of the range that it stands for."""
        if self.both_ways and self.value:
            return tuple(sorted((self.value, 1 / self.value)))
        return (self.value,)

    def written(self, write: Write) -> str:
        """Return it as text, a range where it bounds from both sides."""
        return " to ".join(map(write, self.bounds))


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
    row = check_row(check.name)
    if check.name == "alarm_break":
        return None, None if check.limit is None else Limit(check.limit, row.both_ways)
    if check.name in AdvanceLimits.model_fields and check.name in RollbackLimits.model_fields:
        segment = check.segment.partition("=")[0] if check.segment else None
        gate = playbook.gate_of(step, output=check.output, segment=segment)
        sign = -1 if row.is_loss else 1
        advance = sign * float(getattr(gate.advance, check.name))
        rollback = sign * gate.rollback.limit(_in_force(check.name, age))
        if check.outcome is Outcome.FAIL and check.rolls_back and check.limit is not None:
            rollback = check.limit  # the one that decided
        return Limit(advance, row.both_ways), Limit(rollback, row.both_ways)
    limit = None if check.limit is None else Limit(check.limit, row.both_ways)
    return (None, limit) if check.name in RollbackLimits.model_fields else (limit, None)


def _in_force(name: str, age: timedelta) -> str:
    row = check_row(name)
    if age < _DAY:
        return row.before_a_day or name
    return (row.before_a_week or name) if age < 7 * _DAY else name
