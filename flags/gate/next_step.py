"""The next step of a playbook: the earliest time, and the expected one. No I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flags.gate.evidence import Evidence
from flags.gate.verdict import Decision, Outcome, Verdict
from flags.playbook.model import Playbook, Step

_BY_TIME: Final = "hold_time"
_OF_LABELS: Final = {"labels", "recall_loss", "average_precision_loss", "label_coverage_gap"}
"""Checks that need labels: when labels come is not known."""
_FARTHEST: Final = timedelta(days=366)
"""An expected time farther away is not given: it would say nothing."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step after a step, and its time."""

    name: str
    """Stage and rollout, as in `canary, 5 %`."""
    rollout: int
    """Rollout in per cent."""
    not_before: datetime
    """End of the hold, if the traffic goes on; the end of the window if the hold is over."""
    expected: datetime | None
    """When all open checks will have enough pairs, at the present rate; None if more pairs alone
    are not enough."""
    needs_approval: bool
    """Whether a person must approve the step."""


def next_step(
    evidence: Evidence, verdict: Verdict, playbook: Playbook, step: Step
) -> NextStep | None:
    """Return the step after `step`; None after the last step, and at a ROLLBACK."""
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
        needs_approval=step.approval is not None and after.rollout != step.rollout,
    )


def _held(evidence: Evidence, verdict: Verdict) -> timedelta:
    """Return how long the step has been held: the time with traffic, as the gate counts it."""
    for check in verdict.checks:
        if check.name == _BY_TIME and check.figure is not None:
            return timedelta(seconds=check.figure)
    return evidence.window.until - evidence.window.since


def _expected(
    evidence: Evidence, verdict: Verdict, not_before: datetime, held: float
) -> datetime | None:
    """Return the time with enough pairs and a hold that is over; None if that is not enough."""
    window = evidence.window
    needed = 0
    for check in verdict.checks:
        if check.outcome is Outcome.FAIL:
            return None
        if check.outcome is Outcome.PASS or not check.required or check.name == _BY_TIME:
            continue
        if check.more_needed is None or check.name in _OF_LABELS or check.subject is not None:
            return None  # an outcome (`subject`) needs units, not pairs
        needed = max(needed, check.more_needed)
    if needed and (not window.pairs or held <= 0):
        return None
    seconds = needed * held / window.pairs if needed else 0.0
    if seconds > _FARTHEST.total_seconds():
        return None
    return max(not_before, window.until + timedelta(seconds=seconds))
