"""What the looks at operational alarms found."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmState(StrEnum):
    """What one look at an operational alarm found."""

    PASS = "pass"  # noqa: S105  # no password
    HOLD = "hold"
    ROLLBACK = "rollback"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AlarmPeriod:
    """Hold looks in a row, from `since` to `until`, at which an alarm was in the same state."""

    state: AlarmState
    since: datetime
    until: datetime
    looks: int
    figure: float | None
    """Of the last look; None where there is no value."""
    limit: float | None
    """The one that the figure is beyond, or the nearest."""
    reason: str
    """Of the last look, in words."""


@dataclass(frozen=True, slots=True)
class OperationalAlarmHistory:
    """Hold what the looks of a window found of one operational alarm, in order of time."""

    name: str
    source: str
    periods: tuple[AlarmPeriod, ...]
