"""The autopilot of a flag: assess the evidence, decide, act. It is stateless.

The flag and its event log are read anew at each assessment, and so are pairs that have changed. So
it can be restarted at any time, and two of them do no harm: a step begins anew with every change of
the flag, and neither moves a flag that has changed since it was judged.
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
    """Say what the pairs mean for the step that a flag is at."""

    def __call__(self, plan: Playbook, run: Run, now: datetime) -> StepVerdict:
        """Judge the present run; problems with the pairs are in `missing` of the result."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Hold what was seen at one moment, and what follows from it."""

    history: History
    step_verdict: StepVerdict
    next: NextAction

    @property
    def run(self) -> Run:
        """Return the run that was judged."""
        return self.history.current

    @property
    def before(self) -> FlagView:
        """Return the flag as it was seen."""
        setting = self.run.setting
        return FlagView(bool(setting.enabled), setting.rollout, setting.stickiness)

    @property
    def after(self) -> FlagView:
        """Return the flag as the action makes it."""
        if self.next.action is Action.ROLLBACK:
            return replace(self.before, enabled=False)
        if self.next.action is Action.ADVANCE:
            return replace(self.before, rollout=self.next.rollout)
        return self.before

    @property
    def change(self) -> str:
        """Say what the action changes, e.g. `5 % -> 10 %`."""
        after = "off" if not self.after.enabled else f"{self.after.rollout} %"
        return f"{self.run.setting} -> {after}"

    def done(self, admin: UnleashAdmin, flag: str) -> FlagChange:
        """Return what a record keeps of the action, which was done just now."""
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
"""Takes an assessment whose action is done."""


class Autopilot:
    """Operate one flag; what it does is told to `record`, once it is done.

    `resumed` is the last entry of the event log by anybody else that it may go on from. `account`
    is the user whose personal token it has, where that user is nobody but the autopilot. `alone`
    keeps other programs from a step while this one takes and records it. `approved` returns the
    entry of the latest step that a person took because it was proposed: it goes on from there too.
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
        alone: Callable[[], AbstractContextManager[None]] = nullcontext,
        approved: Callable[[], int] = lambda: 0,
    ) -> None:
        self._admin = admin
        self._playbook = playbook
        self._judge = judge
        self._resumed = resumed
        self._account = account
        self._record = record
        self._alone = alone
        self._approved = approved

    def check(self) -> Author:
        """Return the author of its own changes; raises PersonalTokenError if it may be a person."""
        author = self._admin.author()
        if not author.by_token and author.name != self._account:
            raise PersonalTokenError(
                f"this token is {author}'s own: the autopilot could not tell its own changes from "
                f"those that {author} makes in the dashboard. Give it an admin token, or the token "
                "of a user that nobody else logs in as, and name that user with --account"
            )
        return author

    def assess(self, now: datetime) -> Assessment:
        """Return what is to be done now.

        Raises AdminError if Unleash does not tell, PersonalTokenError if its token is a person's.
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

    def do(self, assessment: Assessment) -> None:
        """Do it, then record it.

        Raises FlagChangedError, and does nothing, if the flag is no longer as it was seen.
        """
        flag, chosen = self._playbook.flag, assessment.next
        if chosen.action is Action.ADVANCE and chosen.rollout is not None:
            with self._alone():
                raise_rollout(self._admin, flag, assessment.run, chosen.rollout)
                self._record(assessment)
        elif chosen.action is Action.ROLLBACK:  # waits for nobody
            switch_off(self._admin, flag, assessment.run)
            self._record(assessment)
