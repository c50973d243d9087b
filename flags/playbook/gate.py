"""The limits of a step, to advance and to roll back."""

from typing import Any, Final

from pydantic import BaseModel, Field

from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.part import Part
from flags.playbook.rollback_limits import LATER, RollbackLimits

_AT_LEAST: Final = frozenset({"win_rate"})
"""Lower limits: the figure must not be below."""


class Gate(Part):
    """The limits of a step. A limit that is not given has the value of the playbook's own gate."""

    advance: AdvanceLimits = Field(
        AdvanceLimits(), description="Limits that must be shown to be kept before the next step."
    )
    rollback: RollbackLimits = Field(
        RollbackLimits(), description="Limits that roll back once a figure is shown to be beyond."
    )

    def overridden_by(self, other: "Gate") -> "Gate":
        """Return this gate with the limits that are given in `other`."""
        return Gate(
            advance=self.advance.model_copy(update=_given(other.advance)),
            rollback=self.rollback.model_copy(update=_given(other.rollback)),
        )

    def conflicts(self) -> list[tuple[str, str]]:
        """Return (limit, error) of limits that contradict each other.

        An advance limit must not be beyond the rollback limit, nor an early rollback limit that is
        given nearer than the later one.
        """
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
