"""The rollouts of a flag over time, from the flag and its event log alone.

However a ramp was made, by the slider of the dashboard, by this tool or by another one, Unleash
logs it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from flags.operate.event_log import told_backwards
from flags.operate.setting import Setting
from flags.unleash.admin import FlagEvent, FlagState, UnleashAdmin

_LOOKS: Final = 3
"""Times that flag and log are read anew because somebody changed the flag in between."""


@dataclass(frozen=True, slots=True)
class Run:
    """A time in which one setting was in force: [since, until), by the clock of Unleash."""

    setting: Setting
    since: datetime | None
    """None where the log does not tell how it began."""
    until: datetime | None
    """None of the present run."""
    by: str | None
    by_token: bool
    """True if an admin token did it, and not a person logged in."""
    how: str
    """What began it, in a few words."""
    event: int | None
    """Number of that entry of the log."""

    @classmethod
    def begun(
        cls,
        setting: Setting,
        since: datetime | None,
        until: datetime | None,
        event: FlagEvent | None,
    ) -> Self:
        """Return the run that `event` began; None where no entry of the log did."""
        if event is None:
            return cls(setting, None, until, None, False, "not in the event log", None)
        return cls(setting, since, until, event.by, event.by_token, event.in_words, event.id)

    def held(self, now: datetime) -> timedelta | None:
        """Return for how long it has been, or was, in force; None if that is not known."""
        return None if self.since is None else (self.until or now) - self.since


@dataclass(frozen=True, slots=True)
class History:
    """The runs of a flag, the oldest first. Never empty.

    Each differs from the one before, unless something else was in force between them for less than
    the millisecond that Unleash's clock tells.
    """

    runs: tuple[Run, ...]

    @property
    def current(self) -> Run:
        """Return the run that goes on."""
        return self.runs[-1]

    @property
    def before(self) -> Run | None:
        """Return the run before the current one."""
        return self.runs[-2] if len(self.runs) > 1 else None

    @property
    def complete(self) -> bool:
        """Say whether the log goes back to where the flag was made."""
        return self.runs[0].since is not None

    def latest(self, rollout: int) -> Run | None:
        """Return the latest run in which the flag was on at this rollout."""
        found = (run for run in reversed(self.runs) if run.setting.rollout == rollout)
        return next(found, None)

    def at(self, moment: datetime) -> Run | None:
        """Return the run of a moment; None before the first one, or where it is not known."""
        for run in reversed(self.runs):
            if run.since is not None and run.since <= moment:
                return run
        return None

    @classmethod
    def of(cls, state: FlagState, events: Iterable[FlagEvent]) -> Self:
        """Put together the runs of a flag that is now in `state`; `events` in any order.

        A log that does not lead to `state`, or has lost entries, is believed from the present back
        to where it stops making sense: the first run then has no beginning.
        """
        runs: list[Run] = []
        until: datetime | None = None
        for setting, event in told_backwards(state, events):
            goes_on = bool(runs) and runs[-1].setting == setting
            ended = runs.pop().until if goes_on else until
            since = event.time if event else None
            if since is not None and until is not None:
                since = min(since, until)  # two servers' clocks may differ
            runs.append(Run.begun(setting, since, ended, event))
            until = since
        # One change may be two entries, as a strategy that goes and a flag that it switches off.
        return cls(
            tuple(run for run in reversed(runs) if run.since is None or run.since != run.until)
        )


def read_history(admin: UnleashAdmin, key: str) -> tuple[FlagState, History]:
    """Ask Unleash for the flag and its whole event log; raises AdminError."""
    state = admin.state(key)
    for _ in range(_LOOKS):
        events = admin.every_event(key)
        before, state = state, admin.state(key)
        if state == before:
            break
    return state, History.of(state, events)
