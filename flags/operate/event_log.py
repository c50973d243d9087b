"""The settings of a flag, reconstructed from its event log backwards from its current state.

Backwards, because then the latest settings do not depend on how far back the log goes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from flags.operate.setting import Setting
from flags.unleash.admin import FlagEvent, FlagState, Strategy

_CREATED: Final = "feature-created"
_ENABLED_AFTER: Final = {
    _CREATED: False,
    "feature-deleted": False,
    "feature-archived": False,
    "feature-revived": False,
    "feature-environment-enabled": True,
    "feature-environment-disabled": False,
}
"""Whether the flag is on after an event of this type."""
_ENABLED_BEFORE: Final = {
    "feature-revived": False,
    "feature-environment-enabled": False,
    "feature-environment-disabled": True,
}
"""Whether the flag was on before an event of this type, if no earlier event says it."""


def settings_backwards(
    state: FlagState, events: Iterable[FlagEvent]
) -> Iterator[tuple[Setting, FlagEvent | None]]:
    """Yield the setting after each event, newest first.

    If the log does not reach back to the flag's creation, the last pair is the setting before the
    oldest usable event, with None.
    """
    strategies = None if state.archived else {each.id: each for each in state.strategies}
    changes = sorted((each for each in events if each.affects_answers), key=lambda each: -each.id)
    log = _consistent_part(changes, strategies)
    switches = _switches(log)
    enabled: bool | None = state.enabled and not state.archived
    for event, (before, after) in zip(log, switches, strict=True):
        if after != enabled or not _is_consistent(event, strategies):
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
    if strategies is None:  # Unleash does not show the strategies of an archived flag
        return Setting(None if enabled else enabled)
    return Setting.of(enabled, strategies.values())


def _consistent_part(
    log: Sequence[FlagEvent], strategies: Mapping[str, Strategy] | None
) -> Sequence[FlagEvent]:
    """Return the newest part of `log` in which no event about a strategy is missing.

    Events are missing before an event whose strategy differs from the result of the earlier events,
    and at the end if the result of all events differs from `strategies`.
    """
    result: dict[str, Strategy] = {}
    whole, dropped = False, 0
    for position, event in enumerate(reversed(log), 1):
        subject = event.after or event.before
        if event.type == _CREATED:
            result, whole, dropped = {}, True, position - 1
        elif subject is not None:
            known = whole or subject.id in result
            if known and result.get(subject.id) != event.before:
                result, whole, dropped = {}, False, position - 1
            result.pop(subject.id, None)
            if event.after is not None:
                result[subject.id] = event.after
    expected = strategies or {}
    if strategies is not None and result != (
        expected if whole else {each: expected.get(each) for each in result}
    ):
        return ()
    return log[: len(log) - dropped]


def _switches(log: Sequence[FlagEvent]) -> list[tuple[bool | None, bool | None]]:
    """Return whether the flag was on before and after each event of `log`, newest first.

    None if unknown. Only changes are logged: before a first event that switches the flag on, it was
    off, and the other way round.
    """
    oldest_first = [_ENABLED_AFTER.get(event.type) for event in reversed(log)]
    first = next((event for event in reversed(log) if event.type in _ENABLED_AFTER), None)
    before = _ENABLED_BEFORE.get(first.type) if first else None
    found = []
    for enabled in oldest_first:
        after = before if enabled is None else enabled
        found.append((before, after))
        before = after
    return found[::-1]


def _is_consistent(event: FlagEvent, strategies: Mapping[str, Strategy] | None) -> bool:
    """Say whether `strategies` can be the result of `event`, and the state before it is known."""
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
