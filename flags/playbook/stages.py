"""The stages of a migration, and the moves allowed between them."""

from enum import StrEnum
from typing import Final, Self

_CANARY: Final = 10
"""Highest rollout of the canary."""


class Stage(StrEnum):
    """The stages of a migration, in their order."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    RAMP = "ramp"
    DEPRECATION = "deprecation"
    RETIRED = "retired"

    @classmethod
    def of(cls, enabled: bool, rollout: float | None) -> Self | None:
        """Return the stage of a flag, by whether it is on and its rollout (0 to 100).

        None if the flag is on and the rollout is unknown. A rollout of 100 % is taken as the ramp,
        although the deprecation has it too.
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
        """Return the position in the order of stages: 0 for off, 5 for retired."""
        return list(type(self)).index(self)

    def may_become(self, other: "Stage") -> bool:
        """Say whether a move is allowed: up by one stage, or down by any number of stages.

        There is no way back from retired: the primary is gone.
        """
        if self is Stage.RETIRED:
            return other is Stage.RETIRED
        return other.rank <= self.rank + 1
