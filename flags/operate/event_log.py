"""The settings that an event log tells of, read backwards from the flag as it is now.

So what matters most, the present, does not depend on how far back the log goes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from flags.operate.setting import Setting
from flags.unleash.admin import FlagEvent, FlagState, Strategy

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


def told_backwards(
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
