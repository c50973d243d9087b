"""The stages of a migration, and the moves allowed between them."""

from enum import StrEnum
from typing import Final, Self

_CANARY: Final = 10
"""Highest rollout of the canary."""


class Stage(StrEnum):
    """How far a migration has come, from nothing to the end."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    RAMP = "ramp"
    DEPRECATION = "deprecation"
    RETIRED = "retired"

    @classmethod
    def of(cls, enabled: bool, rollout: float | None) -> Self | None:
        """Return the stage of a flag that is on or off, at 0-100 percent; None if that is None.

        A rollout alone cannot tell the end of the ramp from the deprecation: both are at 100 %.
        """
        if not enabled:
            return cls.OFF
        if rollout is None:
            return None
        if rollout == 0:
            return cls.SHADOW
        return cls.CANARY if rollout <= _CANARY else cls.RAMP

    @property
    def rank(self) -> int:
        """Return 0 for off, 5 for retired."""
        return list(type(self)).index(self)

    def may_become(self, other: "Stage") -> bool:
        """Say whether the move is allowed: one stage up at most, down always and at once.

        There is no way back from retired: the primary is gone.
        """
        if self is Stage.RETIRED:
            return other is Stage.RETIRED
        return other.rank <= self.rank + 1
