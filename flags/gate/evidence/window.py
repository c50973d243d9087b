"""The time window of the evidence."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without pairs."""

    begin: datetime
    """Time of the last pair before it, or when the step began."""
    end: datetime
    """Time of the first pair after it, or when the evidence was taken."""

    @property
    def seconds(self) -> float:
        """Return the length of the gap."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Window:
    """The time window of the evidence and its pairs: requests accepted from `since` to `until`.

    Figures that do not depend on the side that answers are counted from `comparable_since` on, so
    their evidence is carried from one step to the next.
    """

    flag: str
    """Key of the flag."""
    rollout: float
    """Rollout in per cent, in force from `since` to `until`."""
    since: datetime
    """When the step began, with time zone."""
    until: datetime
    """When the evidence was taken; pairs from then on are not in it."""
    first: datetime | None
    """Time of the first pair; None without pairs."""
    last: datetime | None
    """Time of the last pair; None without pairs."""
    pairs: int
    """Pairs since `since` at this rollout."""
    pairs_of_other_rollouts: int
    """Pairs since `since` that a worker made while it saw another rollout; not in `pairs`."""
    comparable_since: datetime
    """Since when both sides have had their present models and thresholds, at earlier steps too."""
    comparable_pairs: int
    """Pairs since `comparable_since`, at all rollouts."""
    pairs_without_rollout: int = 0
    """Of `pairs_of_other_rollouts`, pairs without a rollout: their flag could not be evaluated."""
    steps_taken: int = 1
    """Steps that the candidate has been at, this one and each return included."""
    gaps: tuple[Gap, ...] = ()
    """Times without pairs of an hour or more within the step, at its beginning and end too."""
    impossible_times: int = 0
    """Pairs with an impossible time, which are left out of all figures."""
    step_began_earlier: bool = False
    """Whether the step began an hour or more before `since`, with another model or threshold."""

    @property
    def age(self) -> float:
        """Return the seconds from `since` to `until`."""
        return (self.until - self.since).total_seconds()

    def held(self, longest: float) -> float:
        """Return for how many seconds the step has had traffic.

        Gaps of more than `longest` seconds are not counted.
        """
        stopped = sum(gap.seconds for gap in self.gaps if gap.seconds > longest)
        return max(0.0, self.age - stopped)
