"""The next step in words."""

from datetime import UTC, datetime

from flags.gate.next_step import NextStep
from flags.gate.number_format import plural

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def forecast(following: NextStep, now: datetime) -> str:
    """Name the next step, and the time at which it is expected."""
    approval = ", with approval" if following.needs_approval else ""
    step = f"{following.name}{approval}"
    if following.expected is not None:
        wait = about((following.expected - now).total_seconds())
        return f"{step}, expected in {wait} ({moment(following.expected)}) at the present rate"
    if following.not_before > now:
        return f"{step}, not before {moment(following.not_before)}"
    return f"{step}, once what is missing is there"


def about(seconds: float) -> str:
    """Write a rounded duration: `about 3 days`."""
    for size, unit in _UNITS:
        if seconds >= 1.5 * size or (seconds >= size and unit != "minute"):
            return f"about {plural(round(seconds / size), unit)}"
    return "a minute"


def moment(time: datetime) -> str:
    """Write a time in UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
