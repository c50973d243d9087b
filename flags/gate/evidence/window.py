"""The time window of the evidence."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without pairs."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Return the length of the gap."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Window:
    """The pairs of the evidence: the requests accepted from `since` to before `until`.

    `since` is when the step began and `until` when the evidence was taken, both with time zone;
    `rollout` (in per cent) was in force in between. `first` and `last` are the times of the first
    and last pair, None without pairs.

    Figures that do not depend on the side that answers are counted from `begun` on, since when both
    sides have had their present models and thresholds: their evidence is carried from one step to
    the next. `carried` is the number of all these pairs, `pairs` that of the step's pairs.
    """

    flag: str
    rollout: float
    since: datetime
    until: datetime
    first: datetime | None
    last: datetime | None
    pairs: int
    other_rollouts: int
    """Pairs since `since` that a worker made while it saw another rollout; not in `pairs`."""
    begun: datetime
    carried: int
    without_rollout: int = 0
    """Of `other_rollouts`, pairs without a rollout: their flag could not be evaluated."""
    visit: int = 1
    """Number of steps that the candidate has been at, this one and each return included."""
    gaps: tuple[Gap, ...] = ()
    """Times without pairs of an hour or more within the step, at its beginning and end too."""
    set_aside: int = 0
    """Pairs with an impossible time, which are left out of all figures."""
    is_cut: bool = False
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
