"""A verdict together with its playbook and step."""

import re
from dataclasses import dataclass

from comparison.errors import StepNotFoundError
from flags.gate.verdict import Decision, Verdict
from flags.playbook.model import Playbook, Step


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a step of a playbook."""

    playbook: Playbook
    step: Step
    verdict: Verdict

    @property
    def consequence(self) -> str:
        """Return in words the action that follows from the verdict."""
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

    Of several matching steps, the first one is returned. Raises StepNotFoundError without one.
    """
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", wanted.lower())
    for step in playbook.steps:
        if words and all(_matches(step, word) for word in words):
            return step
    raise StepNotFoundError(wanted, [step.name for step in playbook.steps])


def step_at(playbook: Playbook, rollout: float) -> Step:
    """Return the first step at a rollout. Raises StepNotFoundError without one."""
    steps = playbook.steps_at(rollout)
    if not steps:
        raise StepNotFoundError(f"{rollout:g} %", [step.name for step in playbook.steps])
    return steps[0]


def _matches(step: Step, word: str) -> bool:
    if word[0].isdigit():
        return step.rollout == float(word)
    return step.stage == word
