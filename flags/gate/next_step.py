"""The next step of a playbook: when it may be taken, and when it is expected. It is pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flags.gate.evidence import Evidence
from flags.gate.verdict import Decision, Outcome, Verdict
from flags.playbook.model import Playbook, Step

_BY_TIME: Final = "hold_time"
_OF_LABELS: Final = {"labels", "recall_loss", "average_precision_loss", "label_coverage_gap"}
"""Checks that need labels: nobody knows when they come."""
_FARTHEST: Final = timedelta(days=366)
"""Beyond it, an expectation says nothing."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """Say what comes after a step, and when."""

    name: str
    rollout: int
    not_before: datetime
    """When the hold is over; the end of the window where it is over already."""
    expected: datetime | None
    """When all that is open is shown, at the present pace; None where no time mends it."""
    approval: bool
    """Whether a person must approve it."""


def next_step(
    evidence: Evidence, verdict: Verdict, playbook: Playbook, step: Step
) -> NextStep | None:
    """Return the step after `step`; None after the last, and where the flag is rolled back."""
    after = playbook.after(step)
    if after is None or verdict.decision is Decision.ROLLBACK:
        return None
    not_before = max(evidence.window.since + step.hold, evidence.window.until)
    return NextStep(
        after.name,
        after.rollout,
        not_before,
        _expected(evidence, verdict, not_before),
        approval=step.approval is not None and after.rollout != step.rollout,
    )


def _expected(evidence: Evidence, verdict: Verdict, not_before: datetime) -> datetime | None:
    """Return when enough pairs are there and the hold is over; None if that is not enough."""
    window = evidence.window
    needed = 0
    for check in verdict.checks:
        if check.outcome is Outcome.FAIL:
            return None
        if check.outcome is Outcome.PASS or not check.required or check.name == _BY_TIME:
            continue
        if check.needed is None or check.name in _OF_LABELS or check.subject is not None:
            return None  # of an outcome, what is needed is no number of pairs
        needed = max(needed, check.needed)
    if needed and (not window.pairs or window.age <= 0):
        return None
    seconds = needed * window.age / window.pairs if needed else 0.0
    if seconds > _FARTHEST.total_seconds():
        return None
    return max(not_before, window.until + timedelta(seconds=seconds))
