"""The results of the looks at operational alarms."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmState(StrEnum):
    """The result of one look at an operational alarm."""

    PASS = "pass"  # noqa: S105  # no password
    HOLD = "hold"
    ROLLBACK = "rollback"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AlarmPeriod:
    """Consecutive looks, from `since` to `until`, at which an alarm was in the same state."""

    state: AlarmState
    since: datetime
    """First look of the period."""
    until: datetime
    """Last look of the period."""
    looks: int
    """Number of looks."""
    figure: float | None
    """Value at the last look; None if there was no value."""
    limit: float | None
    """The limit that the figure is beyond, else the nearest limit."""
    reason: str
    """Result of the last look, in words."""


@dataclass(frozen=True, slots=True)
class OperationalAlarmHistory:
    """The states of one operational alarm at the looks of a window, in order of time."""

    name: str
    """Name of the alarm in the playbook."""
    source: str
    """The query, matchers or URL, as the playbook has them."""
    periods: tuple[AlarmPeriod, ...]
