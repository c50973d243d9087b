"""The state and the history of a flag, as the Admin API returns them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from flags.unleash.admin.note import NOTE_TYPE
from flags.unleash.admin.strategy import Strategy, mapping, read_rollout, sequence, text

_ADMIN_TOKEN_USER: Final = -42
"""User id under which unleash-server records the changes of admin tokens."""


@dataclass(frozen=True, slots=True)
class FlagState:
    """A flag in one environment, as the dashboard shows it."""

    key: str
    type: str | None
    """`release`, `kill-switch` and so on; None if the flag is archived."""
    environment: str
    enabled: bool
    archived: bool
    strategies: tuple[Strategy, ...]
    url: str
    """The flag's page in the dashboard."""

    @classmethod
    def parse(cls, feature: Mapping[str, Any], environment: str, url: str) -> Self | None:
        """Parse a feature of the Admin API; None if it has no such environment."""
        for candidate in feature["environments"]:
            if candidate["name"] == environment:
                strategies = sorted(sequence(candidate.get("strategies")), key=_sort_order)
                return cls(
                    key=str(feature["name"]),
                    type=text(feature.get("type")),
                    environment=environment,
                    enabled=bool(candidate["enabled"]),
                    archived=bool(feature.get("archived")),
                    strategies=tuple(Strategy.parse(strategy) for strategy in strategies),
                    url=url,
                )
        return None

    @property
    def rollout_strategy(self) -> Strategy | None:
        """The rollout to change: the only active strategy, if it is a gradual rollout."""
        active = self.active_strategies or self.strategies
        only = active[0] if len(active) == 1 else None
        return only if only is not None and only.is_rollout else None

    @property
    def active_strategies(self) -> tuple[Strategy, ...]:
        """The strategies that are not disabled; only they reach clients."""
        return tuple(strategy for strategy in self.strategies if not strategy.disabled)

    @property
    def rollout(self) -> int | None:
        """The rollout, 0-100, whether the flag is on or off; None without a single rollout."""
        return self.rollout_strategy.rollout if self.rollout_strategy else None

    @property
    def stickiness(self) -> str | None:
        """The context field whose value determines the side."""
        return self.rollout_strategy.stickiness if self.rollout_strategy else None

    @property
    def group_id(self) -> str | None:
        """Seed of the hash: the same group id keeps the same ids in a growing rollout."""
        return self.rollout_strategy.group_id if self.rollout_strategy else None

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants of the rollout."""
        return self.rollout_strategy.variants if self.rollout_strategy else ()

    @property
    def payload(self) -> Mapping[str, Any] | None:
        """JSON object that the rollout's variant carries."""
        return self.rollout_strategy.payload if self.rollout_strategy else None


@dataclass(frozen=True, slots=True)
class FlagEvent:
    """One entry of the event log about a flag; fields that the event does not have are None."""

    id: int
    time: datetime
    by: str
    by_token: bool
    """True if an admin token did it, and not a person logged in."""
    type: str
    environment: str | None
    enabled: bool | None
    """The new state, of an event that switches the flag."""
    rollout_before: int | None
    rollout_after: int | None
    stickiness_before: str | None
    stickiness_after: str | None
    before: Strategy | None = None
    after: Strategy | None = None
    """The strategy before and after an event that changes one."""
    note: str | None = None
    """The text of an event that puts a note on the flag."""

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> Self:
        """Parse an element of `events`. Raises KeyError, TypeError or ValueError."""
        before, after = _parameters(event.get("preData")), _parameters(event.get("data"))
        kind = str(event["type"])
        switched = {"feature-environment-enabled": True, "feature-environment-disabled": False}
        return cls(
            id=int(event["id"]),
            time=datetime.fromisoformat(event["createdAt"]),
            by=str(event.get("createdBy")),
            by_token=event.get("createdByUserId") == _ADMIN_TOKEN_USER,
            type=kind,
            environment=text(event.get("environment")),
            enabled=switched.get(kind),
            rollout_before=read_rollout(before.get("rollout")),
            rollout_after=read_rollout(after.get("rollout")),
            stickiness_before=text(before.get("stickiness")),
            stickiness_after=text(after.get("stickiness")),
            before=_strategy(kind, event.get("preData")),
            after=_strategy(kind, event.get("data")),
            note=_note(kind, mapping(event.get("data"))),
        )

    @property
    def affects_answers(self) -> bool:
        """Say whether the event may change which side answers; tags, links and names do not."""
        return self.type in _AFFECTING or self.type.startswith(_AFFECTING_PREFIXES)

    @property
    def in_words(self) -> str:
        """The event in a few words."""
        if self.enabled is not None:
            return "switched on" if self.enabled else "switched off"
        if (self.before is None) != (self.after is None):
            strategy = self.after or self.before
            at = "" if strategy is None or strategy.rollout is None else f" at {strategy.rollout} %"
            return f"strategy{at} {'added' if self.after else 'removed'}"
        parts = []
        if self.rollout_after is not None and self.rollout_before != self.rollout_after:
            before = "" if self.rollout_before is None else f"{self.rollout_before} % to "
            parts.append(f"rollout {before}{self.rollout_after} %")
        if self.stickiness_before and self.stickiness_before != self.stickiness_after:
            parts.append(f"stickiness {self.stickiness_before} to {self.stickiness_after}")
        if self.before and self.after and self.before.payload != self.after.payload:
            parts.append("payload changed")
        if self.before and self.after and self.before.disabled != self.after.disabled:
            parts.append(f"strategy {'disabled' if self.after.disabled else 'enabled'}")
        return ", ".join(parts) or self.type.removeprefix("feature-").replace("-", " ")


_AFFECTING: Final = frozenset(
    {"feature-created", "feature-deleted", "feature-archived", "feature-revived"}
)
_AFFECTING_PREFIXES: Final = ("feature-strategy-", "feature-environment-")


def _sort_order(strategy: Any) -> float:
    order = mapping(strategy).get("sortOrder")
    return float(order) if isinstance(order, int) and abs(order) < _MAX_SORT_ORDER else 0.0


_MAX_SORT_ORDER: Final = 2**53


def _strategy(event_type: str, data: object) -> Strategy | None:
    if not event_type.startswith("feature-strategy-") or not isinstance(data, dict):
        return None
    try:
        return Strategy.parse(data)
    except (KeyError, TypeError):  # other data, e.g. the order of strategies
        return None


def _note(event_type: str, data: Mapping[str, Any]) -> str | None:
    is_note = event_type == "feature-tagged" and data.get("type") == NOTE_TYPE
    return text(data.get("value")) if is_note else None


def _parameters(data: object) -> Mapping[str, Any]:
    return mapping(mapping(data).get("parameters"))
