"""Until when pairs are old enough for what comes late: labels, outcomes."""

from datetime import datetime, timedelta
from typing import Final

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def cut_off(now: datetime, delay: timedelta) -> datetime:
    """Return until when pairs are old enough.

    Of a day or longer, a delay ends at a whole hour: looks within it count the same.
    """
    before = now - delay
    return before.replace(minute=0, second=0, microsecond=0) if delay >= _DAY else before


def next_cut_off(now: datetime, delay: timedelta) -> datetime:
    """Return the time at which further pairs may be old enough."""
    return cut_off(now, delay) + _HOUR + delay if delay >= _DAY else now
