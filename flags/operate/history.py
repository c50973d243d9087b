"""The rollouts of a flag over time, from the flag and its event log alone.

However a ramp was made, by the slider of the dashboard, by this tool or by another one, Unleash
logs it. The flag as it is now is the end of the story, and the log is read backwards from there; so
what matters most, the present run, does not depend on how far back the log goes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

import orjson

from flags.playbook.stages import Stage
from flags.printable import printable_json
from flags.unleash.admin import FlagEvent, FlagState, Strategy, UnleashAdmin

_LOOKS: Final = 3
"""Times that flag and log are read anew because somebody changed the flag in between."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The setting of a flag; pairs can be added up while it stays the same."""

    enabled: bool | None
    """None where the log does not tell."""
    rollout: int | None = None
    """0-100; None while the flag is off, and where no one rollout decides."""
    stickiness: str | None = None
    strategies: tuple[str, ...] = ()
    """Everything else: who is counted in, how they are dealt, and the payload; in no special form.

    Empty while the flag is off.
    """

    @classmethod
    def of(cls, enabled: bool | None, strategies: Iterable[Strategy]) -> Self:
        """Return what these strategies make of it; without an active one, it is on for everyone."""
        if not enabled:
            return cls(enabled)
        active = [strategy for strategy in strategies if not strategy.disabled]
        if not active:
            return cls(True, 100)
        forms = tuple(sorted(map(_form, active)))
        only = active[0] if len(active) == 1 and active[0].is_rollout else None
        if only is None:
            return cls(True, None, None, forms)
        return cls(True, only.rollout, only.stickiness, forms)

    @property
    def stage(self) -> Stage | None:
        """Return the stage; None where it is unclear."""
        return None if self.enabled is None else Stage.of(self.enabled, self.rollout)

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.enabled is None:
            return "unknown"
        if not self.enabled:
            return "off"
        return "no single rollout" if self.rollout is None else f"{self.rollout} %"


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
        for setting, event in _told_backwards(state, events):
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


def _told_backwards(
    state: FlagState, events: Iterable[FlagEvent]
) -> Iterator[tuple[Setting, FlagEvent | None]]:
    """Yield what was in force after each entry, the newest first; at the end None for a gap."""
    strategies = None if state.archived else {each.id: each for each in state.strategies}
    bearing = sorted((each for each in events if each.bears_on_answers), key=lambda each: -each.id)
    log = _believable(bearing, strategies)
    switches = _switches(log)
    enabled: bool | None = state.enabled and not state.archived
    for event, (before, after) in zip(log, switches, strict=True):
        if after != enabled or not _agrees(event, strategies):
            break
        setting = _setting(enabled, strategies)
        if setting.enabled is None:
            break
        yield setting, event
        if event.type == _CREATED:
            return
        enabled = before
        _undo(event, strategies)
    yield _setting(enabled, strategies), None


def _setting(enabled: bool | None, strategies: Mapping[str, Strategy] | None) -> Setting:
    if strategies is None:  # Unleash does not show those of an archived flag
        return Setting(None if enabled else enabled)
    return Setting.of(enabled, strategies.values())


def _believable(
    log: Sequence[FlagEvent], strategies: Mapping[str, Strategy] | None
) -> Sequence[FlagEvent]:
    """Return the newest part of `log` in which no entry about a strategy is missing.

    An entry that begins with something else than what the entries before it led to has lost some
    of them, and so has a log that does not lead to `strategies`.
    """
    led_to: dict[str, Strategy] = {}
    whole, believable = False, 0
    for position, event in enumerate(reversed(log), 1):
        subject = event.after or event.before
        if event.type == _CREATED:
            led_to, whole, believable = {}, True, position - 1
        elif subject is not None:
            known = whole or subject.id in led_to
            if known and led_to.get(subject.id) != event.before:
                led_to, whole, believable = {}, False, position - 1
            led_to.pop(subject.id, None)
            if event.after is not None:
                led_to[subject.id] = event.after
    expected = strategies or {}
    if strategies is not None and led_to != (
        expected if whole else {each: expected.get(each) for each in led_to}
    ):
        return ()
    return log[: len(log) - believable]


def _switches(log: Sequence[FlagEvent]) -> list[tuple[bool | None, bool | None]]:
    """Return whether the flag was on before and after each entry of `log`, newest first.

    Only changes are logged: where the log begins with a switch, it was the other way before.
    """
    oldest_first = [_LEAVES.get(event.type) for event in reversed(log)]
    first = next((event for event in reversed(log) if event.type in _LEAVES), None)
    before = _BEFORE.get(first.type) if first else None
    found = []
    for leaves in oldest_first:
        after = before if leaves is None else leaves
        found.append((before, after))
        before = after
    return found[::-1]


def _agrees(event: FlagEvent, strategies: Mapping[str, Strategy] | None) -> bool:
    """Say whether the strategies can be what `event` left behind, and what was before is known."""
    if strategies is None:
        return True
    match event.type:
        case "feature-created":
            return not strategies
        case "feature-strategy-add":
            return event.after is not None and strategies.get(event.after.id) == event.after
        case "feature-strategy-update":
            if event.before is None or event.after is None:
                return False
            return strategies.get(event.after.id) == event.after
        case "feature-strategy-remove":
            return event.before is not None and event.before.id not in strategies
    return True


def _undo(event: FlagEvent, strategies: dict[str, Strategy] | None) -> None:
    if strategies is None:
        return
    if event.after is not None:
        del strategies[event.after.id]
    if event.before is not None:
        strategies[event.before.id] = event.before


def _form(strategy: Strategy) -> str:
    told = [
        strategy.name,
        strategy.rollout_text,
        strategy.stickiness,
        strategy.group_id,
        strategy.constraints,
        strategy.variants,
        strategy.payload,
    ]
    return printable_json(told, option=orjson.OPT_SORT_KEYS).decode()


_CREATED: Final = "feature-created"
_LEAVES: Final = {
    _CREATED: False,
    "feature-deleted": False,
    "feature-archived": False,
    "feature-revived": False,
    "feature-environment-enabled": True,
    "feature-environment-disabled": False,
}
"""What an entry leaves the flag at: on, or off."""

_BEFORE: Final = {
    "feature-revived": False,
    "feature-environment-enabled": False,
    "feature-environment-disabled": True,
}
"""What the flag was before such an entry, if nothing earlier tells."""
