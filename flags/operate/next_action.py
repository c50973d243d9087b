"""The choice of the autopilot's next action. It is pure: no clock, file, network or state."""

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
    """The verdict on the step that a flag is at; without one, `missing` says why."""

    step: Step | None
    verdict: Verdict | None
    missing: str = ""

    def as_plain(self) -> dict[str, Any] | None:
        """Return the verdict for the audit file; None without one."""
        if self.step is None or self.verdict is None:
            return None
        return {
            "step": self.step.name,
            "decision": str(self.verdict.decision),
            "reasons": list(self.verdict.reasons),
        }


class Action(StrEnum):
    """The actions that the autopilot can take."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"
    PAUSED = "PAUSED"
    PROPOSED = "PROPOSED"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class NextAction:
    """An action and its reasons; `rollout` is the rollout to set or to propose."""

    action: Action
    reasons: tuple[str, ...]
    rollout: int | None = None


def next_action(
    history: History, plan: Playbook, step_verdict: StepVerdict, *, own: Author, resumed: int
) -> NextAction:
    """Return the autopilot's action for a flag.

    PAUSED if another account has changed the flag in an event log entry after the one numbered
    `resumed`. HOLD if the flag is off: the autopilot never switches it on. Otherwise as the verdict
    says: one step up, off, or nothing. A step up that needs approval is PROPOSED; after the last
    step, the action is DONE.
    """
    change = foreign_change(history, own)
    if change is not None and (change.event or 0) > resumed:
        return NextAction(Action.PAUSED, (_paused(change), *_pending(step_verdict)))
    setting, verdict = history.current.setting, step_verdict.verdict
    if not setting.enabled:
        return _hold("somebody has to switch it on, at the rollout to begin at")
    if setting.rollout is None or verdict is None:
        return _hold(step_verdict.missing)
    if verdict.decision is Decision.ROLLBACK:
        return NextAction(Action.ROLLBACK, verdict.reasons)
    if verdict.decision is Decision.HOLD:
        return NextAction(Action.HOLD, verdict.reasons)
    following = next_rollout(plan, setting.rollout)
    if following is None:
        return NextAction(
            Action.DONE, ("the last step is passed: `bentoml migration retire` comes next",)
        )
    if step_verdict.step is not None and step_verdict.step.approval:
        return NextAction(Action.PROPOSED, (_approvable(following), *verdict.reasons), following)
    return NextAction(Action.ADVANCE, verdict.reasons, following)


def foreign_change(history: History, own: Author) -> Run | None:
    """Return the last run that began with another account's change; None if there is none."""
    begun = (run for run in reversed(history.runs) if run.by is not None)
    return next((run for run in begun if Author(run.by or "", run.by_token) != own), None)


def _approvable(following: int) -> str:
    return f'{following} % needs approval: `advance --approve "WHY"` takes the step'


def _paused(change: Run) -> str:
    return (
        f"{change.by} changed the flag ({change.how}, entry {change.event} of its event log): "
        f"--resume {change.event} lets the autopilot go on from there"
    )


def _pending(step_verdict: StepVerdict) -> tuple[str, ...]:
    """Return the verdict that is not acted upon because of the pause."""
    if step_verdict.verdict is None:
        return (step_verdict.missing,) if step_verdict.missing else ()
    decision = step_verdict.verdict.decision
    return (f"the verdict is {decision}", *step_verdict.verdict.reasons)


def _hold(reason: str) -> NextAction:
    return NextAction(Action.HOLD, (reason,))
