"""Hold a verdict together with the plan it was reached by."""

from dataclasses import dataclass

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
        return f"go on to {after.name}" if after else "the primary can be retired"
