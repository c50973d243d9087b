"""Figures as the page writes them, the same in its tables and sentences."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from comparison.evidence.number_format import between, percent, ratio, signed
from flags.gate.evidence import Interval

MAX_NAME: Final = 40
"""Characters of a request id, a segment's value or a model's tag that are printed."""

MAX_TEXT: Final = 600
"""Characters of a judged text that are printed."""

MAX_THRESHOLDS: Final = 3
"""Thresholds of a side that are printed."""

PSI_MARKS: Final = ((0.25, "large"), (0.1, "some"), (0.0, "little"))
"""Customary bounds from credit scoring, without a theory: Siddiqi (2006), p. 136."""


def times(value: float | None) -> str:
    """Write a ratio as a factor."""
    return "-" if value is None else f"{ratio(value)}x"


def ratio_interval(interval: Interval) -> str:
    """Write the bounds of a ratio."""
    return between(ratio(interval.low), ratio(interval.high))


def signed_interval(interval: Interval) -> str:
    """Write the bounds of a difference."""
    if interval.low is None or interval.high is None:
        return "not known"
    return between(signed(interval.low), signed(interval.high))


def percent_interval(interval: Interval) -> str:
    """Write the bounds of a share."""
    return between(percent(interval.low), percent(interval.high))


def psi_mark(psi: float | None) -> str:
    """Return the customary word for the size of a PSI."""
    return "-" if psi is None else next((word for mark, word in PSI_MARKS if psi >= mark), "-")


def brief(text: str, most: int = MAX_NAME) -> str:
    """Cut a text, which callers can make as long as they like, after `most` characters."""
    return text if len(text) <= most else f"{text[:most]}…"


def moment(time: datetime) -> str:
    """Write a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def thresholds(values: Sequence[float]) -> str:
    """Write the first thresholds, and how many more there are."""
    more = f" and {len(values) - MAX_THRESHOLDS} more" if len(values) > MAX_THRESHOLDS else ""
    return (", ".join(f"{value:.4g}" for value in values[:MAX_THRESHOLDS]) or "-") + more
