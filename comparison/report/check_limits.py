"""The limits of a check: the one to advance, and the one to roll back."""

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
    """A limit; with `two_sided`, that of a ratio, which must not be below its inverse either."""

    value: float
    two_sided: bool = False

    @property
    def bounds(self) -> tuple[float, ...]:
        """Return the value, or, with `two_sided`, both ends of the allowed range, lowest first."""
        if self.two_sided and self.value:
            return tuple(sorted((self.value, 1 / self.value)))
        return (self.value,)

    def text(self, write: Write) -> str:
        """Return the limit as text; with `two_sided`, as a range."""
        return " to ".join(map(write, self.bounds))


def check_limits(
    check: Check, playbook: Playbook, step: Step, age: timedelta
) -> tuple[Limit | None, Limit | None]:
    """Return the limits to advance and to roll back, None where there is none.

    `age` is the age of the evidence: some rollback limits are in force at once, others only after a
    day or a week.
    """
    if check.name in {"outcome_ratio", "outcome_ratio_all"}:
        plan = playbook.outcomes.get(check.subject or "", OutcomePlan())
        both = (plan.margin, plan.rollback)
        advance, rollback = both if plan.harm == "up" else (1 / both[0], 1 / both[1])
        return Limit(advance), Limit(rollback)
    row = check_row(check.name)
    if check.name == "alarm_break":
        return None, None if check.limit is None else Limit(check.limit, row.two_sided)
    if check.name in AdvanceLimits.model_fields and check.name in RollbackLimits.model_fields:
        segment = check.segment.partition("=")[0] if check.segment else None
        gate = playbook.gate_of(step, output=check.output, segment=segment)
        sign = -1 if row.is_loss else 1
        advance = sign * float(getattr(gate.advance, check.name))
        rollback = sign * gate.rollback.limit(_rollback_limit(check.name, age))
        if check.outcome is Outcome.FAIL and check.rolls_back and check.limit is not None:
            rollback = check.limit  # the limit by which the gate decided
        return Limit(advance, row.two_sided), Limit(rollback, row.two_sided)
    limit = None if check.limit is None else Limit(check.limit, row.two_sided)
    return (None, limit) if check.name in RollbackLimits.model_fields else (limit, None)


def _rollback_limit(name: str, age: timedelta) -> str:
    """Return the name of the rollback limit that is in force at this age of the evidence."""
    row = check_row(name)
    if age < _DAY:
        return row.before_a_day or name
    return (row.before_a_week or name) if age < 7 * _DAY else name
