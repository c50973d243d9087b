"""The setting of a flag: everything that determines which side answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import orjson

from flags.playbook.stages import Stage
from flags.printable import printable_json
from flags.unleash.admin import Strategy


@dataclass(frozen=True, slots=True)
class Setting:
    """The setting of a flag; only pairs of the same setting can be counted together."""

    enabled: bool | None
    """None if unknown."""
    rollout: int | None = None
    """0-100; None while the flag is off, or if it has not exactly one rollout."""
    stickiness: str | None = None
    strategies: tuple[str, ...] = ()
    """The active strategies as JSON, with constraints, variants and payload; only for comparison.

    Empty while the flag is off.
    """

    @classmethod
    def of(cls, enabled: bool | None, strategies: Iterable[Strategy]) -> Self:
        """Return the setting by these strategies; without an active one, the flag is on for all."""
        if not enabled:
            return cls(enabled)
        active = [strategy for strategy in strategies if not strategy.disabled]
        if not active:
            return cls(True, 100)
        texts = tuple(sorted(map(_as_json, active)))
        only = active[0] if len(active) == 1 and active[0].is_rollout else None
        if only is None:
            return cls(True, None, None, texts)
        return cls(True, only.rollout, only.stickiness, texts)

    @property
    def stage(self) -> Stage | None:
        """Return the stage; None if it is unclear."""
        return None if self.enabled is None else Stage.of(self.enabled, self.rollout)

    def __str__(self) -> str:
        """Return the setting in a few words."""
        if self.enabled is None:
            return "unknown"
        if not self.enabled:
            return "off"
        return "no single rollout" if self.rollout is None else f"{self.rollout} %"


def _as_json(strategy: Strategy) -> str:
    fields = [
        strategy.name,
        strategy.rollout_text,
        strategy.stickiness,
        strategy.group_id,
        strategy.constraints,
        strategy.variants,
        strategy.payload,
    ]
    return printable_json(fields, option=orjson.OPT_SORT_KEYS).decode()
