"""The pairs that the evidence rests on, by time."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Bound a time without pairs."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Window:
    """Say which pairs the evidence rests on: those accepted from `since` until before `until`.

    `since` is when the step began and `until` when the evidence was taken, both with time zone;
    `rollout` (in per cent) is the one in force in between. `first` and `last` are times of pairs,
    None without any.

    What does not depend on who answers is counted from `begun` on, since when both sides have had
    their present models and thresholds: what the pairs have shown at one step is carried to the
    next. `carried` are all those pairs, `pairs` those of the step.
    """

    flag: str
    rollout: float
    since: datetime
    until: datetime
    first: datetime | None
    last: datetime | None
    pairs: int
    other_rollouts: int
    """Pairs since then that a worker made while it saw another rollout; none of the step's."""
    begun: datetime
    carried: int
    without_rollout: int = 0
    """Of `other_rollouts`, pairs that say none: their flag could not be evaluated."""
    visit: int = 1
    """Which one of the candidate's steps this is, each return to one counted."""
    gaps: tuple[Gap, ...] = ()
    """Times without pairs within the step, of an hour and more, those at both ends included."""
    set_aside: int = 0
    """Pairs whose time cannot be; they are in no figure."""
    is_cut: bool = False
    """Whether the step is an hour older than `since`: a model or threshold was another one then."""

    @property
    def age(self) -> float:
        """Return how many seconds ago the step began."""
        return (self.until - self.since).total_seconds()

    def held(self, longest: float) -> float:
        """Return for how many seconds the step has had traffic.

        A gap of more than `longest` seconds stops the clock, wherever it is.
        """
        stopped = sum(gap.seconds for gap in self.gaps if gap.seconds > longest)
        return max(0.0, self.age - stopped)
