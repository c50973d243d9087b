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
    """When the hold is over if the traffic goes on; the end of the window where it is over."""
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
    held = _held(evidence, verdict)
    not_before = evidence.window.until + max(step.hold - held, timedelta())
    return NextStep(
        after.name,
        after.rollout,
        not_before,
        _expected(evidence, verdict, not_before, held.total_seconds()),
        approval=step.approval is not None and after.rollout != step.rollout,
    )


def _held(evidence: Evidence, verdict: Verdict) -> timedelta:
    """Return for how long the step has been held, as the gate counts it: time with traffic."""
    for check in verdict.checks:
        if check.name == _BY_TIME and check.figure is not None:
            return timedelta(seconds=check.figure)
    return evidence.window.until - evidence.window.since


def _expected(
    evidence: Evidence, verdict: Verdict, not_before: datetime, held: float
) -> datetime | None:
    """Return when enough pairs are there and the hold is over; None if that is not enough."""
    window = evidence.window
    needed = 0
    for check in verdict.checks:
        if check.outcome is Outcome.FAIL:
            return None
        if check.outcome is Outcome.PASS or not check.required or check.name == _BY_TIME:
            continue
        if check.needed is None or check.name in _OF_LABELS or check.subject is not None:
            return None  # of an outcome, what is needed is not a number of pairs
        needed = max(needed, check.needed)
    if needed and (not window.pairs or held <= 0):
        return None
    seconds = needed * held / window.pairs if needed else 0.0
    if seconds > _FARTHEST.total_seconds():
        return None
    return max(not_before, window.until + timedelta(seconds=seconds))
