"""Choose the step of a playbook that a user, or the newest pairs, mean."""

import re

from comparison.errors import StepNotFoundError
from flags.playbook.model import Playbook, Step


def chosen_step(playbook: Playbook, wanted: str) -> Step:
    """Return the step called `wanted`: a percentage, a stage, or both, e.g. `canary, 5 %`.

    Of several that fit the first one is taken. Raises StepNotFoundError if none does.
    """
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", wanted.lower())
    for step in playbook.steps:
        if words and all(_fits(step, word) for word in words):
            return step
    raise StepNotFoundError(wanted, [step.name for step in playbook.steps])


def step_at(playbook: Playbook, rollout: float) -> Step:
    """Return the first step at a percentage. Raises StepNotFoundError if there is none."""
    steps = playbook.steps_at(rollout)
    if not steps:
        raise StepNotFoundError(f"{rollout:g} %", [step.name for step in playbook.steps])
    return steps[0]


def _fits(step: Step, word: str) -> bool:
    if word[0].isdigit():
        return step.rollout == float(word)
    return step.stage == word
