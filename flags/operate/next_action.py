"""Decide what the autopilot does next. Pure: no clock, no file, no network, no memory."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flags.gate import Decision, Verdict
from flags.operate.current_step import next_rollout
from flags.operate.history import History, Run
from flags.playbook.model import Playbook, Step
from flags.unleash.admin import Author


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """Hold what the pairs say of the step that a flag is at; without a verdict, what is missing."""

    step: Step | None
    verdict: Verdict | None
    missing: str = ""

    def as_plain(self) -> dict[str, Any] | None:
        """Return what a record keeps of the verdict, None without one."""
        if self.step is None or self.verdict is None:
            return None
        return {
            "step": self.step.name,
            "decision": str(self.verdict.decision),
            "reasons": list(self.verdict.reasons),
        }


class Action(StrEnum):
    """What can be done about a flag."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True)
class NextAction:
    """Hold what is to be done, and why; `rollout` is the one to set, in an ADVANCE only."""

    action: Action
    reasons: tuple[str, ...]
    rollout: int | None = None


def next_action(
    history: History, plan: Playbook, finding: StepVerdict, *, own: Author, resumed: int
) -> NextAction:
    """Return what the autopilot does about a flag.

    Nothing, where somebody else has changed the flag in a later entry of its event log than the one
    numbered `resumed`. Nothing, where the flag is off: the autopilot never switches it on. Else
    what the verdict says: one step up, off, or nothing.
    """
    change = foreign_change(history, own)
    if change is not None and (change.event or 0) > resumed:
        return NextAction(Action.PAUSED, (_paused(change), *_beside(finding)))
    setting, verdict = history.current.setting, finding.verdict
    if not setting.enabled:
        return _hold("somebody has to switch it on, at the rollout to begin at")
    if setting.rollout is None or verdict is None:
        return _hold(finding.missing)
    if verdict.decision is Decision.ROLLBACK:
        return NextAction(Action.ROLLBACK, verdict.reasons)
    if verdict.decision is Decision.HOLD:
        return NextAction(Action.HOLD, verdict.reasons)
    following = next_rollout(plan, setting.rollout)
    if following is None:
        return _hold("the last step is passed: the primary can be retired")
    return NextAction(Action.ADVANCE, verdict.reasons, following)


def foreign_change(history: History, own: Author) -> Run | None:
    """Return the last run that somebody else began, None if nobody did."""
    begun = (run for run in reversed(history.runs) if run.by is not None)
    return next((run for run in begun if Author(run.by or "", run.by_token) != own), None)


def _paused(change: Run) -> str:
    return (
        f"{change.by} changed the flag ({change.how}, entry {change.event} of its event log): "
        f"--resume {change.event} lets the autopilot go on from there"
    )


def _beside(finding: StepVerdict) -> tuple[str, ...]:
    """Return what is left undone because of the pause, for those who read the log."""
    if finding.verdict is None:
        return (finding.missing,) if finding.missing else ()
    decision = finding.verdict.decision
    return (f"the verdict is {decision}", *finding.verdict.reasons)


def _hold(reason: str) -> NextAction:
    return NextAction(Action.HOLD, (reason,))
