"""Limits that most minutes are beyond since some minute: fast detection over all units together.

A minute is one piece of evidence, however many units its requests have. The hypothesis is that at
most half of the minutes are beyond the limit; a new bet against it starts every minute
(`sequences.restart`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from flags.gate.error_rate import error_share, visit_share
from flags.gate.evidence import Evidence, Minute
from flags.gate.sequences.restart import detect

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Lasting:
    """Since when a limit is exceeded, and in how many of the minutes since."""

    since: datetime
    beyond: int
    minutes: int
    alpha: float

    def words(self) -> str:
        """Return it in words, for the end of a reason."""
        return (
            f"in {self.beyond:,} of {self.minutes:,} minutes since {self.since:%Y-%m-%d %H:%M} UTC"
        )


def lasting(
    evidence: Evidence, check: str, error_rate: float, is_beyond: Callable[[Minute], bool | None]
) -> Lasting | None:
    """Return since when most minutes are beyond a limit; None if that is not shown.

    Minutes for which `is_beyond` returns None are left out.
    """
    begun = int(evidence.window.since.timestamp()) // _MINUTE
    minutes = [(each.number - begun, is_beyond(each)) for each in evidence.health.minutes]
    known = [(number, beyond) for number, beyond in minutes if beyond is not None and number >= 0]
    if not known:
        return None
    alpha = visit_share(error_share(error_rate, check), evidence.window.steps_taken)
    if sum(beyond for _, beyond in known) * math.log(2) < -math.log(alpha):
        return None  # a bet at most doubles in a minute, so these are too few to show it
    cells = ((number, [(1.0, 2.0 if beyond else 0.0, 1.0)]) for number, beyond in known)
    found = detect(cells, known[0][0])
    if found.start is None or found.log_evidence < -math.log(alpha):
        return None
    since = [beyond for number, beyond in known if number >= found.start]
    time = datetime.fromtimestamp((begun + found.start) * _MINUTE, UTC)
    return Lasting(time, sum(since), len(since), alpha)
