"""The setting of a flag, as it decides who answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import orjson

from flags.playbook.stages import Stage
from flags.printable import printable_json
from flags.unleash.admin import Strategy


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
