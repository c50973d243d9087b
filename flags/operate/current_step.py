"""Tell which step of a playbook a flag is at: by its percentage, and if need be by time.

The ramp ends at 100 % and the deprecation is at 100 % too: the flag does not change in between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flags.operate.history import Run
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold a step that a flag may be at, and since when: its evidence begins there."""

    step: Step
    since: datetime


def plan_at(playbook: Playbook, percentage: int) -> Playbook:
    """Return the playbook with a step at a percentage that somebody chose between two steps.

    What holds for the step below holds for it too. Below the first step there is nothing to take
    over: the playbook stays as it is.
    """
    lower = [step for step in playbook.steps if step.rollout < percentage]
    if playbook.steps_at(percentage) or not lower:
        return playbook
    below = lower[-1]
    stage = Stage.of(True, percentage) if below.stage is Stage.SHADOW else below.stage
    between = below.model_copy(update={"rollout": percentage, "stage": stage})
    higher = playbook.steps[len(lower) :]
    return playbook.model_copy(update={"steps": (*lower, between, *higher)})


def standings(plan: Playbook, run: Run) -> tuple[Standing, ...]:
    """Return the steps that a flag may be at in its present run, in their order.

    Each begins when the holds of those before it are over, and is reached once their gates say
    ADVANCE. None where `unjudged` says why.
    """
    if run.setting.percentage is None or run.since is None:
        return ()
    since, found = run.since, []
    for step in plan.steps_at(run.setting.percentage):
        found.append(Standing(step, since))
        since += step.hold
    return tuple(found)


def reached(
    standings: Sequence[Standing], now: datetime, passes: Callable[[Standing], bool]
) -> Standing | None:
    """Return the step that a flag is at: the first that its gate does not let go, or the last.

    Steps whose holds are yet to begin are not asked; None if there are no steps at all.
    """
    at: Standing | None = None
    for standing in standings:
        if at is not None and standing.since >= now:
            break
        at = standing
        if not passes(standing):
            break
    return at


def unjudged(plan: Playbook, run: Run) -> str:
    """Say why no pairs can be judged for a flag in this run; nothing if they can."""
    if not run.setting.enabled:
        return "the flag is off"
    if run.setting.percentage is None:
        return "no one percentage decides: the flag has several strategies, or none that is known"
    if run.since is None:
        return "the event log does not tell since when the flag is as it is"
    if not plan.steps_at(run.setting.percentage):
        return f"the playbook begins above {run.setting.percentage} %"
    return ""


def next_percentage(plan: Playbook, percentage: float) -> int | None:
    """Return the percentage of the next step up, None where there is none."""
    return next((step.rollout for step in plan.steps if step.rollout > percentage), None)
