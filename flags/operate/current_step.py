"""The step of a playbook that a flag is at, by its rollout and, if that is ambiguous, by time.

Both the end of the ramp and the deprecation are at 100 %: the flag does not change between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flags.operate.history import Run
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage


@dataclass(frozen=True, slots=True)
class StepPosition:
    """A step that a flag may be at, and the time from which on its pairs are evidence."""

    step: Step
    since: datetime


def plan_at(playbook: Playbook, rollout: int) -> Playbook:
    """Return the playbook with a step at `rollout`, if somebody chose one between two steps.

    The new step is a copy of the step below it. Below the first step there is none to copy: the
    playbook is returned unchanged.
    """
    lower = [step for step in playbook.steps if step.rollout < rollout]
    if playbook.steps_at(rollout) or not lower:
        return playbook
    below = lower[-1]
    stage = Stage.of(True, rollout) if below.stage is Stage.SHADOW else below.stage
    between = below.model_copy(update={"rollout": rollout, "stage": stage})
    higher = playbook.steps[len(lower) :]
    return playbook.model_copy(update={"steps": (*lower, between, *higher)})


def possible_steps(plan: Playbook, run: Run) -> tuple[StepPosition, ...]:
    """Return the steps that a flag may be at in its current run, in order.

    Each begins when the holds of the steps before it have ended, and is reached when their gates
    say ADVANCE. Empty if `why_not_judged` returns a reason.
    """
    if run.setting.rollout is None or run.since is None:
        return ()
    since, found = run.since, []
    for step in plan.steps_at(run.setting.rollout):
        found.append(StepPosition(step, since))
        since += step.hold
    return tuple(found)


def current_step(
    positions: Sequence[StepPosition], now: datetime, passes: Callable[[StepPosition], bool]
) -> StepPosition | None:
    """Return the step that a flag is at: the first whose gate does not pass, or the last.

    `passes` is not called for steps that begin in the future. None if there are no steps.
    """
    current: StepPosition | None = None
    for position in positions:
        if current is not None and position.since >= now:
            break
        current = position
        if not passes(position):
            break
    return current


def why_not_judged(plan: Playbook, run: Run) -> str:
    """Return the reason why no pairs can be judged in this run; "" if they can."""
    if not run.setting.enabled:
        return "the flag is off"
    if run.setting.rollout is None:
        return "no one rollout decides: the flag has several strategies, or none that is known"
    if run.since is None:
        return "the event log does not tell since when the flag is as it is"
    if not plan.steps_at(run.setting.rollout):
        return f"the playbook begins above {run.setting.rollout} %"
    return ""


def next_rollout(plan: Playbook, rollout: float) -> int | None:
    """Return the next higher rollout of the playbook; None if there is none."""
    return next((step.rollout for step in plan.steps if step.rollout > rollout), None)
