"""The status of one migration, from Unleash and the running workers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from flags.monitoring.last_verdict import LastVerdict
from flags.monitoring.views import FlagView, ServiceView, WorkerView
from flags.monitoring.worker_state import Workers
from flags.operate.current_step import StepPosition, current_step, plan_at, possible_steps
from flags.operate.history import History
from flags.operate.unproven_steps import UnprovenStep, unproven_steps
from flags.playbook.model import Playbook
from flags.playbook.stages import Stage
from flags.unleash.admin import FlagEvent, FlagState


def flag_in_unleash(state: FlagState) -> FlagView:
    """Return the flag by the Admin API; a flag without a strategy is on for everyone."""
    if not state.strategies and not state.archived:
        return FlagView(state.enabled, 100, None)
    return FlagView(state.enabled, state.rollout, state.stickiness)


@dataclass(frozen=True, slots=True)
class Note:
    """A command's reason, cut to 50 characters, that was put on the flag: in any environment."""

    text: str
    time: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of the flag in its event log."""

    time: datetime
    by: str
    by_token: bool
    what: str
    note: Note | None = None
    """The newest note since."""

    @classmethod
    def last(cls, events: Iterable[FlagEvent]) -> Self | None:
        """Return the newest event that affects answers; `events` are newest first."""
        note: Note | None = None
        for event in events:
            if event.affects_answers:
                return cls(event.time, event.by, event.by_token, event.in_words, note)
            if note is None and event.note:
                note = Note(event.note, event.time, event.by)
        return None


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next step of the playbook by the flag's history alone, without its gate."""

    step: str
    since: datetime
    """When the current step began."""
    not_before: datetime
    """When the hold of the current step ends."""
    needs_approval: bool
    """Whether a person must approve it."""

    @classmethod
    def of(cls, history: History, playbook: Playbook, now: datetime) -> Self | None:
        """Return the next step; None if the flag is off, below all steps, or at the last one."""
        run = history.current
        if run.setting.rollout is None:
            return None
        plan = plan_at(playbook, run.setting.rollout)
        at = current_step(possible_steps(plan, run), now, lambda step: now >= _hold_end(step))
        following = plan.after(at.step) if at else None
        if at is None or following is None:
            return None
        approval = at.step.approval is not None and following.rollout != at.step.rollout
        return cls(following.name, at.since, _hold_end(at), approval)


def _is_about(verdict: LastVerdict, flag: FlagView | None) -> bool:
    return flag is not None and flag.enabled and verdict.rollout == flag.rollout


def _hold_end(position: StepPosition) -> datetime:
    return position.since + position.step.hold


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration at one moment: the flag, its last change, and the workers."""

    flag: str
    seen: ServiceView
    """The workers, compared with the flag in Unleash."""
    environment: str | None = None
    url: str | None = None
    """The flag's page in the dashboard."""
    last_change: Change | None = None
    unproven: tuple[UnprovenStep, ...] = ()
    """Steps up without evidence since the flag was last off."""
    upcoming: Upcoming | None = None
    verdict: LastVerdict | None = None
    """The last verdict on the flag's current rollout, from the service's live page."""
    service: str | None = None
    not_shown: Mapping[str, str] | None = None
    """The reasons why parts of the status are not shown, by part."""

    @classmethod
    def of(
        cls,
        flag: str,
        *,
        unleash: FlagState | None,
        events: Iterable[FlagEvent] = (),
        playbook: Playbook | None = None,
        workers: Workers | None = None,
        verdict: LastVerdict | None = None,
        not_shown: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> Self:
        """Return the status by the known parts; `events` is the whole log, newest first."""
        now = now or datetime.now(UTC)
        events = tuple(events)
        history = History.of(unleash, events) if unleash else None
        seen = ServiceView.of(workers, flag_in_unleash(unleash) if unleash else None)
        return cls(
            flag,
            seen,
            environment=unleash.environment if unleash else None,
            url=unleash.url if unleash else None,
            last_change=Change.last(events),
            unproven=unproven_steps(history, playbook) if history else (),
            upcoming=Upcoming.of(history, playbook, now) if history and playbook else None,
            verdict=verdict if verdict and _is_about(verdict, seen.flag) else None,
            service=workers.service if workers else None,
            not_shown=dict(not_shown or {}),
        )

    @property
    def view(self) -> FlagView | None:
        """Return the flag in Unleash; without Unleash, as the workers see it if they agree."""
        return self.seen.flag

    @property
    def stage(self) -> Stage | None:
        """Return the stage; None if it is unclear."""
        return self.view.stage if self.view else None

    @property
    def workers(self) -> tuple[WorkerView, ...]:
        """Return the running workers."""
        return self.seen.workers

    def as_plain(self) -> dict[str, Any]:
        """Return the status for JSON."""
        view = self.view
        return {
            "flag": self.flag,
            "stage": self.stage,
            "enabled": view.enabled if view else None,
            "rollout": view.rollout if view else None,
            "stickiness": view.stickiness if view else None,
            "environment": self.environment,
            "url": self.url,
            "last_change": self.last_change,
            "unproven": self.unproven,
            "upcoming": self.upcoming,
            "verdict": self.verdict,
            "service": self.service,
            "followed": self.seen.followed,
            "workers": [
                {
                    "follows": each.follows,
                    "silent": each.silent,
                    "remarks": each.remarks,
                    "state": each.state,
                }
                for each in self.workers
            ],
            "not_shown": dict(self.not_shown or {}),
        }
