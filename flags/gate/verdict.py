"""The verdict on a step: its checks and the decision that follows from them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """The outcome of a check."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


BY_GRAVITY: Final = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
"""What failed comes before what is not known yet, and that before what passed."""


class Decision(StrEnum):
    """What to do with the flag."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"


@dataclass(frozen=True, slots=True)
class Check:
    """Hold one check: a figure, the interval that decided, and the limit it was held against.

    A check without chance in it (hold time, completeness) has no interval. `figure`, `low`, `high`
    and `limit` have the unit of the check: ratios, differences and shares are plain numbers, times
    are seconds. None is what is not known.
    """

    name: str
    """Of the kind, e.g. `alarm_ratio`: the key of its limit in the playbook if it has one."""
    output: str | None
    segment: str | None
    """`<segment>=<value>`."""
    outcome: Outcome
    figure: float | None
    low: float | None
    high: float | None
    limit: float | None
    """The limit that decided, or that is still open."""
    n: int
    reason: str
    """In words, with limit, figure, interval and n."""
    confidence: float | None = None
    """Of the interval, valid at every look: 0.95, or higher where a FAIL may roll back."""
    rolls_back: bool = False
    """Whether a FAIL sets the flag back once the candidate answers."""
    required: bool = True
    """Whether ADVANCE needs a PASS; else only a FAIL counts."""
    needed: int | None = None
    """About how many more pairs (labels, for quality) let it pass at the present rates."""
    subject: str | None = None
    """What it is about, by its name in the playbook, e.g. that of an outcome."""
    since: datetime | None = None
    """When what it shows began, as far as that can be told."""
    beyond: bool = False
    """Of an inconclusive one: whether it surely is beyond the limit to go on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say what to do and why."""

    decision: Decision
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]
    """Of the checks that led to the decision, the gravest first."""
