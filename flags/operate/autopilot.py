"""The autopilot of a flag: it assesses the evidence, decides and acts. It is stateless.

Each assessment reads the flag, its event log and changed pairs anew. So the autopilot can be
restarted at any time, and two of them do no harm: a step begins anew with every change of the flag,
and neither changes a flag that has changed since its assessment.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from flags.monitoring.views import FlagView
from flags.operate.audit import FlagChange
from flags.operate.current_step import plan_at, why_not_judged
from flags.operate.flag_moves import raise_rollout, switch_off
from flags.operate.history import History, Run, read_history
from flags.operate.next_action import Action, NextAction, StepVerdict, next_action
from flags.playbook.model import Playbook
from flags.unleash.admin import Author, UnleashAdmin
from flags.unleash.admin.errors import PersonalTokenError


class Judge(Protocol):
    """A function that judges by the pairs the step that a flag is at."""

    def __call__(self, plan: Playbook, run: Run, now: datetime) -> StepVerdict:
        """Judge the current run; problems with the pairs are in `missing` of the result."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The flag's history, the step verdict and the next action at one moment."""

    history: History
    step_verdict: StepVerdict
    next: NextAction

    @property
    def run(self) -> Run:
        """Return the run that was judged."""
        return self.history.current

    @property
    def before(self) -> FlagView:
        """Return the flag before the action."""
        setting = self.run.setting
        return FlagView(bool(setting.enabled), setting.rollout, setting.stickiness)

    @property
    def after(self) -> FlagView:
        """Return the flag after the action."""
        if self.next.action is Action.ROLLBACK:
            return replace(self.before, enabled=False)
        if self.next.action is Action.ADVANCE:
            return replace(self.before, rollout=self.next.rollout)
        return self.before

    @property
    def change(self) -> str:
        """Return the change by the action, e.g. `5 % -> 10 %`."""
        after = "off" if not self.after.enabled else f"{self.after.rollout} %"
        return f"{self.run.setting} -> {after}"

    def as_change(self, admin: UnleashAdmin, flag: str) -> FlagChange:
        """Return the action, which was taken just now, for the audit file."""
        return FlagChange.of(
            admin,
            flag,
            "autopilot",
            before=self.before,
            after=self.after,
            reason="; ".join(self.next.reasons),
            verdict=self.step_verdict.as_plain(),
        )


Record = Callable[[Assessment], None]
"""Records an assessment whose action was taken."""


class Autopilot:
    """The autopilot of one flag; it calls `record` after each action.

    It pauses after a change by another account, unless the number of that change's event log entry
    is at most `resumed`, or at most the number returned by `approved`: that of the latest proposed
    step that a person took. `account` is the user of its personal token, if nobody else uses that
    account. `exclusive` keeps other programs from changing the flag while it takes and records a
    step.
    """

    def __init__(
        self,
        admin: UnleashAdmin,
        playbook: Playbook,
        judge: Judge,
        *,
        resumed: int = 0,
        account: str | None = None,
        record: Record,
        exclusive: Callable[[], AbstractContextManager[None]] = nullcontext,
        approved: Callable[[], int] = lambda: 0,
    ) -> None:
        self._admin = admin
        self._playbook = playbook
        self._judge = judge
        self._resumed = resumed
        self._account = account
        self._record = record
        self._exclusive = exclusive
        self._approved = approved

    def check(self) -> Author:
        """Return the author of the autopilot's changes.

        Raises PersonalTokenError if that may also be a person.
        """
        author = self._admin.author()
        if not author.by_token and author.name != self._account:
            raise PersonalTokenError(
                f"this token is {author}'s own: the autopilot could not tell its own changes from "
                f"those that {author} makes in the dashboard. Give it an admin token, or the token "
                "of a user that nobody else logs in as, and name that user: "
                f"--account {author.name}"
            )
        return author

    def assess(self, now: datetime) -> Assessment:
        """Read the flag, judge its step, and choose the next action.

        Raises AdminError if Unleash cannot be read, PersonalTokenError if its token is a person's.
        """
        own = self.check()
        history = read_history(self._admin, self._playbook.flag)[1]
        run = history.current
        rollout = run.setting.rollout
        plan = self._playbook if rollout is None else plan_at(self._playbook, rollout)
        missing = why_not_judged(plan, run)
        found = StepVerdict(None, None, missing) if missing else self._judge(plan, run, now)
        resumed = max(self._resumed, self._approved())
        chosen = next_action(history, plan, found, own=own, resumed=resumed)
        return Assessment(history, found, chosen)

    def act(self, assessment: Assessment) -> None:
        """Take the action and record it.

        Raises FlagChangedError, without a change, if the flag has changed since the assessment.
        """
        flag, chosen = self._playbook.flag, assessment.next
        if chosen.action is Action.ADVANCE and chosen.rollout is not None:
            with self._exclusive():
                raise_rollout(self._admin, flag, assessment.run, chosen.rollout)
                self._record(assessment)
        elif chosen.action is Action.ROLLBACK:  # without the lock: a rollback never waits
            switch_off(self._admin, flag, assessment.run)
            self._record(assessment)
