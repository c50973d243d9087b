"""A verdict together with the plan by which it was reached."""

import re
from dataclasses import dataclass

from comparison.errors import StepNotFoundError
from flags.gate.verdict import Decision, Verdict
from flags.playbook.model import Playbook, Step


@dataclass(frozen=True, slots=True)
class Judgement:
    """Hold what was decided about a step of a playbook."""

    playbook: Playbook
    step: Step
    verdict: Verdict

    @property
    def consequence(self) -> str:
        """Say in words what to do now."""
        if self.verdict.decision is Decision.ROLLBACK:
            return "give all requests back to the primary: switch the flag off"
        if self.verdict.decision is Decision.HOLD:
            return f"stay at {self.step.rollout} % and look again"
        after = self.playbook.after(self.step)
        if after is None:
            return "the primary can be retired"
        approval = ", once a person approves" if self.step.approval else ""
        return f"go on to {after.name}{approval}"


def chosen_step(playbook: Playbook, wanted: str) -> Step:
    """Return the step called `wanted`: a rollout, a stage, or both, e.g. `canary, 5 %`.

    Of several that fit the first one is taken. Raises StepNotFoundError if none does.
    """
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", wanted.lower())
    for step in playbook.steps:
        if words and all(_fits(step, word) for word in words):
            return step
    raise StepNotFoundError(wanted, [step.name for step in playbook.steps])


def step_at(playbook: Playbook, rollout: float) -> Step:
    """Return the first step at a rollout. Raises StepNotFoundError if there is none."""
    steps = playbook.steps_at(rollout)
    if not steps:
        raise StepNotFoundError(f"{rollout:g} %", [step.name for step in playbook.steps])
    return steps[0]


def _fits(step: Step, word: str) -> bool:
    if word[0].isdigit():
        return step.rollout == float(word)
    return step.stage == word
