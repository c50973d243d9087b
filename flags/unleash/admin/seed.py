"""Creation of the items that a migration needs in Unleash; a flag in use is never changed."""

from dataclasses import dataclass
from typing import Final, Literal

from flags.unleash.admin.client import UnleashAdmin
from flags.unleash.admin.errors import FlagMissingError
from flags.unleash.admin.flag import FlagState

CONTEXT_FIELD: Final = "requestId"
"""Stickiness of the created flags; it can be changed in the dashboard."""

Outcome = Literal["created", "changed", "present", "refused"]


@dataclass(frozen=True, slots=True)
class Seeded:
    """The result for one item; `detail` is its state, or the reason why it was refused."""

    item: str
    outcome: Outcome
    detail: str


def shadow_key(flag: str) -> str:
    """Return the key of the kill-switch that stops the scoring of the shadow side."""
    return f"{flag}.shadow"


def seed(admin: UnleashAdmin, flag: str) -> tuple[Seeded, ...]:
    """Create what is missing: the context field, `flag` at 0 % and its shadow switch at 100 %.

    Existing flags are not changed. If one cannot start a migration at 0 %, it is `refused` and
    nothing is created. A flag that an interrupted run left without strategy is completed.
    """
    admin.check()
    flag_state, shadow_state = _state(admin, flag), _state(admin, shadow_key(flag))
    refusals = [*_refusals(flag, flag_state), *_shadow_refusals(shadow_key(flag), shadow_state)]
    if refusals:
        return tuple(refusals)
    return (
        _seed_context_field(admin),
        _seed_flag(
            admin, flag, flag_state, "release", 0, "On for a request: the candidate answers"
        ),
        _seed_flag(
            admin,
            shadow_key(flag),
            shadow_state,
            "kill-switch",
            100,
            f"Off: the side of {flag} that does not answer is not scored",
        ),
    )


def _state(admin: UnleashAdmin, key: str) -> FlagState | None:
    try:
        return admin.state(key)
    except FlagMissingError:
        return None


def _refusals(key: str, state: FlagState | None) -> list[Seeded]:
    if state is None:
        return []
    return [Seeded(key, "refused", reason) for reason in _differences(state)]


def _shadow_refusals(key: str, state: FlagState | None) -> list[Seeded]:
    """Refuse only an archived shadow switch: any rollout of it is valid."""
    archived = state is not None and state.archived
    return [Seeded(key, "refused", _ARCHIVED)] if archived else []


_ARCHIVED: Final = "archived: revive it in the dashboard, or use another key"


def _differences(state: FlagState) -> list[str]:
    """Return the reasons why an existing flag cannot start a migration at 0 %."""
    if state.archived:
        return [_ARCHIVED]
    if not state.strategies:
        return ["on without a strategy, which is 100 %"] if state.enabled else []
    if (strategy := state.rollout_strategy) is None:
        names = ", ".join(strategy.name for strategy in state.strategies)
        return [f"has {len(state.strategies)} strategies ({names}), not one gradual rollout"]
    found = [
        (strategy.rollout != 0, f"rollout is {strategy.rollout_text} %, not 0 %"),
        (
            strategy.stickiness != CONTEXT_FIELD,
            f"stickiness is {strategy.stickiness}, not {CONTEXT_FIELD}",
        ),
        (strategy.group_id != state.key, f"groupId is {strategy.group_id}, not {state.key}"),
        (strategy.constraints > 0, f"rollout is narrowed by {strategy.constraints} constraints"),
        (strategy.disabled, "rollout strategy is disabled"),
    ]
    return [reason for differs, reason in found if differs]


def _seed_context_field(admin: UnleashAdmin) -> Seeded:
    outcome: Outcome = admin.ensure_context_field(
        CONTEXT_FIELD, "Id of the request: the same id gets the same side", stickiness=True
    )
    return Seeded(f"context field {CONTEXT_FIELD}", outcome, "sticky")


def _seed_flag(
    admin: UnleashAdmin,
    key: str,
    state: FlagState | None,
    kind: str,
    percent: int,
    description: str,
) -> Seeded:
    """Create or complete the flag: rollout first, then on; otherwise it would be on for all."""
    if state is not None and state.strategies:
        return Seeded(key, "present", _words(state))
    if state is None:
        admin.create_flag(key, kind, description)
    admin.add_rollout(key, percent, CONTEXT_FIELD)
    admin.turn_on(key)
    outcome: Outcome = "created" if state is None else "changed"
    return Seeded(key, outcome, _words(admin.state(key)))


def _words(state: FlagState) -> str:
    switch = "on" if state.enabled else "off"
    rollout = "several strategies" if state.rollout is None else f"{state.rollout} %"
    return f"{switch} in {state.environment}, {rollout}"
