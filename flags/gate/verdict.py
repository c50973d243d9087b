"""The verdict on a step: its checks, and the decision that follows from them."""

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
"""Outcomes in the order in which checks are listed, the gravest first."""


class Decision(StrEnum):
    """The change of the flag that the gate recommends."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: a figure, its confidence interval, and the limit that it was compared with.

    The unit depends on the check: ratios, differences and shares are plain numbers, times are
    seconds. An exact figure (hold time, completeness) has no interval.
    """

    name: str
    """Kind of the check, e.g. `alarm_ratio`: the key of its limit in the playbook if it has one."""
    output: str | None
    """Name of the output; None: the check is about none."""
    segment: str | None
    """`<segment>=<value>`; None: all pairs."""
    outcome: Outcome
    figure: float | None
    """The figure, in the unit of the check; None: not known."""
    low: float | None
    """Lower end of its confidence interval; None: none."""
    high: float | None
    """Upper end of its confidence interval; None: none."""
    limit: float | None
    """The limit that decided, or that is still open."""
    n: int
    """Sample size: the pairs, labels, units or looks of the figure."""
    reason: str
    """The result in words, with figure, limit, interval and n."""
    confidence: float | None = None
    """Level of the interval over all looks together: 0.95, or higher if a FAIL may roll back."""
    rolls_back: bool = False
    """Whether a FAIL rolls the flag back, if the candidate answers requests."""
    required: bool = True
    """Whether ADVANCE needs a PASS; else only a FAIL counts."""
    more_needed: int | None = None
    """About how many more pairs (labels, for quality) let it pass at the present rates."""
    subject: str | None = None
    """Name, in the playbook, of what is checked, e.g. of an outcome or an operational alarm."""
    since: datetime | None = None
    """Since when the figure is beyond its limit, if that can be estimated."""
    beyond_advance_limit: bool = False
    """Whether an inconclusive figure is surely beyond the limit to go on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, with its checks and reasons."""

    decision: Decision
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]
    """Reasons of the checks that led to the decision, the gravest first."""
