"""The step of a playbook that a flag is at, by its rollout and, if need be, by time.

The ramp ends at 100 % and the deprecation is at 100 % too: the flag does not change in between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flags.operate.history import Run
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage


@dataclass(frozen=True, slots=True)
class StepPosition:
    """Hold a step that a flag may be at, and since when: its evidence begins there."""

    step: Step
    since: datetime


def plan_at(playbook: Playbook, rollout: int) -> Playbook:
    """Return the playbook with a step at a rollout that somebody chose between two steps.

    What holds for the step below holds for it too. Below the first step there is nothing to take
    over: the playbook stays as it is.
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
    """Return the steps that a flag may be at in its present run, in their order.

    Each begins when the holds of those before it are over, and is reached once their gates say
    ADVANCE. None where `unjudged` says why.
    """
    if run.setting.rollout is None or run.since is None:
        return ()
    since, found = run.since, []
    for step in plan.steps_at(run.setting.rollout):
        found.append(StepPosition(step, since))
        since += step.hold
    return tuple(found)


def current_step(
    standings: Sequence[StepPosition], now: datetime, passes: Callable[[StepPosition], bool]
) -> StepPosition | None:
    """Return the step that a flag is at: the first that its gate does not let go, or the last.

    Steps whose holds are yet to begin are not asked; None if there are no steps at all.
    """
    at: StepPosition | None = None
    for standing in standings:
        if at is not None and standing.since >= now:
            break
        at = standing
        if not passes(standing):
            break
    return at


def why_not_judged(plan: Playbook, run: Run) -> str:
    """Say why no pairs can be judged for a flag in this run; nothing if they can."""
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
    """Return the rollout of the next step up, None where there is none."""
    return next((step.rollout for step in plan.steps if step.rollout > rollout), None)
