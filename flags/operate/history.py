"""The settings of a flag over time, from its current state and its event log alone.

Unleash logs every change, whether it is made in the dashboard, by this tool or by another one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from flags.operate.event_log import settings_backwards
from flags.operate.setting import Setting
from flags.unleash.admin import FlagEvent, FlagState, UnleashAdmin

_MAX_READS: Final = 3
"""Times that flag and log are read, if somebody changes the flag in between."""


@dataclass(frozen=True, slots=True)
class Run:
    """A period in which one setting was in force: [since, until), by the clock of Unleash."""

    setting: Setting
    since: datetime | None
    """None if the log has no entry for its beginning."""
    until: datetime | None
    """None for the current run."""
    by: str | None
    """Who made the change with which it began."""
    by_token: bool
    """Whether that was an admin token, not a logged-in person."""
    how: str
    """That change in a few words."""
    event: int | None
    """Number of its entry in the log."""

    @classmethod
    def of(
        cls,
        setting: Setting,
        since: datetime | None,
        until: datetime | None,
        event: FlagEvent | None,
    ) -> Self:
        """Return the run that began with `event`; None: the log has no such entry."""
        if event is None:
            return cls(setting, None, until, None, False, "not in the event log", None)
        return cls(setting, since, until, event.by, event.by_token, event.in_words, event.id)


@dataclass(frozen=True, slots=True)
class History:
    """The runs of a flag, the oldest first; never empty.

    Consecutive runs have different settings, unless there was another one between them for less
    than a millisecond, the resolution of Unleash's clock.
    """

    runs: tuple[Run, ...]

    @property
    def current(self) -> Run:
        """Return the last run, which still goes on."""
        return self.runs[-1]

    @classmethod
    def of(cls, state: FlagState, events: Iterable[FlagEvent]) -> Self:
        """Return the runs of a flag whose current state is `state`; `events` in any order.

        If the log has lost entries or does not lead to `state`, it is used from the present back to
        the first contradiction; `since` of the first run is then None.
        """
        runs: list[Run] = []
        until: datetime | None = None
        for setting, event in settings_backwards(state, events):
            goes_on = bool(runs) and runs[-1].setting == setting
            ended = runs.pop().until if goes_on else until
            since = event.time if event else None
            if since is not None and until is not None:
                since = min(since, until)  # two servers' clocks may differ
            runs.append(Run.of(setting, since, ended, event))
            until = since
        # One change may have two entries: removing the last strategy also switches the flag off.
        return cls(
            tuple(run for run in reversed(runs) if run.since is None or run.since != run.until)
        )


def read_history(admin: UnleashAdmin, key: str) -> tuple[FlagState, History]:
    """Read the flag and its whole event log from Unleash. Raises AdminError."""
    state = admin.state(key)
    for _ in range(_MAX_READS):
        events = admin.all_events(key)
        before, state = state, admin.state(key)
        if state == before:
            break
    return state, History.of(state, events)
