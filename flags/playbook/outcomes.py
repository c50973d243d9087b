"""The plan of one metric of the outcomes: how it is counted, and what is allowed of it."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from flags.playbook.part import Duration, Part, Ratio


class OutcomePlan(Part):
    """How one metric of the outcomes is counted, and what is allowed of it."""

    kind: Literal["binary", "count", "continuous"] = Field(
        "binary",
        description="`binary` (it happened or not), `count` (how often), or `continuous` (money, "
        "minutes).",
    )
    by: Literal["request", "unit"] = Field(
        "request", description="Whose outcome it is: a request's, or a unit's (user, customer)."
    )
    harm: Literal["up", "down"] = Field("up", description="Which way is worse.")
    cut_off: Duration = Field(
        timedelta(days=7),
        description="How late outcomes come: younger requests are not looked at yet, and later "
        "outcomes are left out. 0s: all of them are there.",
    )
    cap: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="The most of one unit that counts. Not given: 2 of a `count`; of a "
        "`continuous` metric, the 99.9 % quantile that the shadow has shown.",
    )
    advance: Ratio | None = Field(
        None,
        description="The candidate's relative to the primary's, over all traffic: up to x, or, "
        "where less is worse, down to 1/x. Not given: 1.10; 1.05 of a `continuous` metric.",
    )
    rollback: Ratio = Field(1.25, description="The same, beyond which it rolls back.")
    required_from: int = Field(
        10, ge=0, le=100, description="The rollout from which it must pass; before, it may fail."
    )
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="Its part of the outcomes' share of the error rate, relative to the others'.",
    )

    def conflict(self) -> tuple[str, str] | None:
        """Return (key, what is wrong) of values that contradict each other."""
        if self.margin > self.rollback:
            return "advance", f"is {self.margin:g}, beyond the rollback limit of {self.rollback:g}"
        if self.kind == "binary" and self.cap is not None:
            return "cap", "is of no use: a binary outcome is 0 or 1"
        return None

    @property
    def margin(self) -> float:
        """Return the limit to go on."""
        return self.advance or (1.05 if self.kind == "continuous" else 1.10)

    @property
    def most(self) -> float | None:
        """Return the most of one unit that counts, None if the shadow has to show it."""
        return {"binary": 1.0, "count": self.cap or 2.0}.get(self.kind, self.cap)
