"""The cut-off time: pairs before it are old enough for late labels and outcomes."""

from datetime import datetime, timedelta
from typing import Final

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def cut_off(now: datetime, delay: timedelta) -> datetime:
    """Return the time before which pairs are old enough.

    With a delay of a day or longer, it is a whole hour: looks within that hour count the same.
    """
    before = now - delay
    return before.replace(minute=0, second=0, microsecond=0) if delay >= _DAY else before


def next_cut_off(now: datetime, delay: timedelta) -> datetime:
    """Return the time at which further pairs may be old enough."""
    return cut_off(now, delay) + _HOUR + delay if delay >= _DAY else now
