"""Settings and limits of single outputs and segments."""

from pydantic import Field

from flags.playbook.gate import Gate
from flags.playbook.part import Part


class SideThresholds(Part):
    """The score from which on each side fires. Not given: the recorded threshold."""

    primary: float | None = Field(None, allow_inf_nan=False, description="Of the primary.")
    candidate: float | None = Field(None, allow_inf_nan=False, description="Of the candidate.")

    @property
    def given(self) -> dict[str, float]:
        """Return the given thresholds, by side."""
        return {side: threshold for side, threshold in self if threshold is not None}


class OutputPlan(Part):
    """Settings and limits of one output."""

    capacity: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Alarms a day that the reviewers can handle, of both sides together.",
    )
    threshold: SideThresholds = Field(
        SideThresholds(),
        description="Thresholds of the comparison, by side. Not given: the recorded ones.",
    )
    distribution: bool | None = Field(
        None,
        description="Whether the distribution of its numbers is checked. Not given: only if no "
        "threshold is known.",
    )
    tolerance: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Of a number: a difference, or an increase of the error, that does not matter.",
    )
    spread: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Of a number: the unit of its differences. Not given: the spread of the "
        "primary's first 1,000 numbers.",
    )
    quantile: float | None = Field(
        None, gt=0, lt=1, description="Of a number that predicts a quantile: its level, e.g. 0.9."
    )
    persistence: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Of a ranking: the probability that a reader goes on to the next item; the "
        "smaller, the more the first places count. Not given: 1 - 1/k for lists of k items.",
    )
    gate: Gate = Field(Gate(), description="Limits that differ for this output.")

    @property
    def settings(self) -> dict[str, float]:
        """Return the given settings that counting an output needs."""
        given = {
            "spread": self.spread,
            "quantile": self.quantile,
            "persistence": self.persistence,
        }
        return {name: value for name, value in given.items() if value is not None}


class SegmentPlan(Part):
    """Limits of one segment, for all of its values."""

    gate: Gate = Field(Gate(), description="Limits that differ for this segment.")
