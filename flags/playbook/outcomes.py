"""The outcome metrics of a playbook: how each is counted, and its limits."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from flags.playbook.part import Duration, Part, Ratio


class OutcomePlan(Part):
    """How one outcome metric is counted, and its limits."""

    kind: Literal["binary", "count", "continuous"] = Field(
        "binary",
        description="`binary` (it happened or not), `count` (how often), or `continuous` (money, "
        "minutes).",
    )
    by: Literal["request", "unit"] = Field(
        "request",
        description="What the outcome belongs to: a request, or a unit (user, customer).",
    )
    harm: Literal["up", "down"] = Field(
        "up", description="Direction that is worse: `up`, more is worse."
    )
    cut_off: Duration = Field(
        timedelta(days=7),
        description="How late outcomes come: younger requests are left out for now, and later "
        "outcomes for ever. 0s: all outcomes are there.",
    )
    cap: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Largest value of one unit; larger ones are cut. Not given: 2 for a `count`; "
        "for a `continuous` metric, the 99.9 % quantile that the shadow has shown.",
    )
    advance: Ratio | None = Field(
        None,
        description="The candidate's metric relative to the primary's, over all traffic: up to x, "
        "or, if less is worse, down to 1/x. Not given: 1.10; 1.05 for a `continuous` metric.",
    )
    rollback: Ratio = Field(1.25, description="The same ratio, beyond which it rolls back.")
    required_from: int = Field(
        10,
        ge=0,
        le=100,
        description="The rollout from which the metric must pass; before, it only must not fail.",
    )
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="The metric's part of the outcomes' share of the error rate, relative to the "
        "other metrics' weights.",
    )

    def conflict(self) -> tuple[str, str] | None:
        """Return (key, error) of values that contradict each other, None if there are none."""
        if self.margin > self.rollback:
            return "advance", f"is {self.margin:g}, beyond the rollback limit of {self.rollback:g}"
        if self.kind == "binary" and self.cap is not None:
            return "cap", "is of no use: a binary outcome is 0 or 1"
        return None

    @property
    def margin(self) -> float:
        """Return the `advance` limit in force."""
        return self.advance or (1.05 if self.kind == "continuous" else 1.10)

    @property
    def cap_in_force(self) -> float | None:
        """Return the largest value of one unit, None if the shadow has to show it."""
        return {"binary": 1.0, "count": self.cap or 2.0}.get(self.kind, self.cap)
