"""The position of a flag at the start of a command: its run, its rollout and the plan."""

from dataclasses import dataclass
from typing import Self

from comparison.cli.refusals import Refusal
from flags.operate.current_step import next_rollout, plan_at
from flags.operate.history import Run, read_history
from flags.playbook.model import Playbook
from flags.unleash.admin import UnleashAdmin


@dataclass(frozen=True, slots=True)
class FlagPlace:
    """The position of a flag that is on at one rollout; `plan` gets a step there if possible."""

    run: Run
    plan: Playbook
    rollout: int

    @classmethod
    def of(cls, admin: UnleashAdmin, playbook: Playbook) -> Self:
        """Read it from Unleash. Raises AdminError, or Refusal for a flag that cannot be judged."""
        state, history = read_history(admin, playbook.flag)
        run, flag = history.current, playbook.flag
        if not run.setting.enabled:
            raise Refusal(
                f"{flag} is off: switch it on in the dashboard, at the rollout to begin at: "
                f"{state.url}"
            )
        if run.setting.rollout is None:
            raise Refusal(f"{flag} has no single rollout that decides: {state.url}")
        return cls(run, plan_at(playbook, run.setting.rollout), run.setting.rollout)

    @property
    def following(self) -> int | None:
        """Return the next rollout of the plan, None after the last one."""
        return next_rollout(self.plan, self.rollout)
