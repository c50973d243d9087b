"""Durations as people write them: `7d`, `48h`, `90m`, `30s`, `250ms`."""

import re
from datetime import timedelta
from typing import Any, Final

DURATION_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(d|h|m|s|ms)$"

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def duration(text: Any) -> timedelta:
    """Return the duration that `text` stands for; a timedelta is returned as it is.

    Raises ValueError, with the allowed form.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.match(DURATION_PATTERN, text):
        raise ValueError(
            f"{text!r} is not a duration: a number and a unit, such as 7d, 48h, 90m, 30s"
        )
    number, unit = re.findall(r"[0-9.]+|[a-z]+", text)
    try:
        return float(number) * _UNITS[unit]
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def duration_text(value: timedelta) -> str:
    """Format a duration in the largest unit in which it is a whole number."""
    for unit, size in _UNITS.items():
        if value % size == timedelta(0) and (value >= size or unit == "ms"):
            return f"{value // size}{unit}"
    return f"{value / _UNITS['ms']:g}ms"
