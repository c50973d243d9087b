"""Figures as the page writes them, the same in its tables and sentences."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from comparison.evidence.number_format import between, percent, ratio, signed
from flags.gate.evidence import Interval

BRIEF: Final = 40
"""Characters of a request id, a segment's value or a model's tag that are printed."""

LONGEST_TEXT: Final = 600
"""Characters of a judged text that are printed."""

THRESHOLDS: Final = 3
"""Thresholds of a side that are printed."""

PSI_MARKS: Final = ((0.25, "large"), (0.1, "some"), (0.0, "little"))
"""Customary since credit scoring, with no theory behind them: Siddiqi (2006), p. 136."""


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
    """Name the customary mark that a PSI reaches."""
    return "-" if psi is None else next((word for mark, word in PSI_MARKS if psi >= mark), "-")


def brief(text: str, most: int = BRIEF) -> str:
    """Cut what a caller may have made endless."""
    return text if len(text) <= most else f"{text[:most]}…"


def moment(time: datetime) -> str:
    """Write a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def thresholds(values: Sequence[float]) -> str:
    """Write the first thresholds, and how many more there are."""
    more = f" and {len(values) - THRESHOLDS} more" if len(values) > THRESHOLDS else ""
    return (", ".join(f"{value:.4g}" for value in values[:THRESHOLDS]) or "-") + more
