"""The limits of a step, to advance and to roll back."""

from typing import Any, Final

from pydantic import BaseModel, Field

from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.part import Part
from flags.playbook.rollback_limits import LATER, RollbackLimits

_AT_LEAST: Final = frozenset({"win_rate"})
"""Limits of both kinds that a figure must not be below."""


class Gate(Part):
    """The limits of a step. What is not given is taken over from the playbook's own gate."""

    advance: AdvanceLimits = Field(AdvanceLimits(), description="What must be shown to go on.")
    rollback: RollbackLimits = Field(RollbackLimits(), description="What rolls back once shown.")

    def changed_by(self, other: "Gate") -> "Gate":
        """Return this gate with those limits that were given in `other`."""
        return Gate(
            advance=self.advance.model_copy(update=_given(other.advance)),
            rollback=self.rollback.model_copy(update=_given(other.rollback)),
        )

    def conflicts(self) -> list[tuple[str, str]]:
        """Return (limit, what is wrong) where going on is allowed beyond the rollback limit."""
        return [
            (f"advance.{name}", f"is {going_on:g}, beyond the rollback limit of {back:g}")
            for name, back in self.rollback
            if (going_on := getattr(self.advance, name, None)) is not None
            and (going_on < back if name in _AT_LEAST else going_on > back)
        ] + [
            (f"rollback.{sooner}", f"is {limit:g}, nearer than the {later} of {bound:g}")
            for sooner, later in LATER.items()
            if sooner in self.rollback.model_fields_set
            and (limit := getattr(self.rollback, sooner)) < (bound := self.rollback.limit(later))
        ]


def _given(limits: BaseModel) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in limits.model_fields_set}
