"""What holds for one output, or for one segment, only."""

from pydantic import Field

from flags.playbook.gate import Gate
from flags.playbook.part import Part


class SideThresholds(Part):
    """The score from which each side fires; not given, the recorded one counts."""

    primary: float | None = Field(None, allow_inf_nan=False, description="Of the primary.")
    candidate: float | None = Field(None, allow_inf_nan=False, description="Of the candidate.")

    @property
    def given(self) -> dict[str, float]:
        """Return those that are given, by side."""
        return {side: threshold for side, threshold in self if threshold is not None}


class OutputPlan(Part):
    """What holds for one output only."""

    capacity: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Alarms a day that can be worked off, by people whom both sides share.",
    )
    threshold: SideThresholds = Field(
        SideThresholds(), description="Thresholds to compare at, by side; the recorded ones if not."
    )
    distribution: bool | None = Field(
        None,
        description="Whether the distribution of its numbers is checked; by default where no "
        "threshold is known.",
    )
    tolerance: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Of a number: a difference, or a loss of error, up to which nothing matters.",
    )
    spread: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Of a number: the unit of its differences; the spread of the primary's first "
        "1,000 if not given.",
    )
    quantile: float | None = Field(
        None, gt=0, lt=1, description="Of a number that is a quantile: which one, e.g. 0.9."
    )
    persistence: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Of a ranking: the probability that a reader goes on to the next item, by "
        "which its first places count more; 1 - 1/k for lists of k items if not given.",
    )
    gate: Gate = Field(Gate(), description="Limits that differ for this output.")

    @property
    def settings(self) -> dict[str, float]:
        """Return what is fixed of an output before it is counted."""
        given = {
            "spread": self.spread,
            "quantile": self.quantile,
            "persistence": self.persistence,
        }
        return {name: value for name, value in given.items() if value is not None}


class SegmentPlan(Part):
    """What holds for one segment only, all of its values."""

    gate: Gate = Field(Gate(), description="Limits that differ for this segment.")
