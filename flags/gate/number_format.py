"""The numbers of checks as text, with enough digits to tell a figure from its limit."""

import math
from collections.abc import Iterable
from typing import Final, Protocol

_MOST: Final = 9
"""Most extra digits; numbers that are equal with these are taken as equal."""


class Write(Protocol):
    """A function that formats numbers of one kind."""

    def __call__(self, value: float, extra: int = 0, /) -> str:
        """Return a number as text, with `extra` digits more than usual."""


def extra_digits(
    write: Write, values: Iterable[float | None], limits: Iterable[float | None]
) -> int:
    """Return the fewest extra digits with which no value looks equal to a different limit."""
    known, bounds = {*values} - {None}, {*limits} - {None}
    pairs = [
        (value, limit)
        for value in known
        for limit in bounds
        if value is not None and limit is not None and write(value, _MOST) != write(limit, _MOST)
    ]
    return next(
        extra
        for extra in range(_MOST + 1)
        if all(write(value, extra) != write(limit, extra) for value, limit in pairs)
    )


def times(value: float, extra: int = 0, /) -> str:
    """Format a ratio: `2.03`, `31`, `∞`."""
    if math.isinf(value):
        return "∞"
    return f"{value:.{2 + extra}f}" if round(value, 2 + extra) < 10 else f"{value:,.{extra}f}"


def points(value: float, extra: int = 0, /) -> str:
    """Format a difference of shares in percentage points: `+0.12`."""
    return f"{100 * value:+.{3 + extra}g}"


def percent(value: float, extra: int = 0, /) -> str:
    """Format a share as a percentage without the % sign: `0.123`."""
    return f"{100 * value:.{3 + extra}g}"


def signed_percent(value: float, extra: int = 0, /) -> str:
    """Format a relative difference as a percentage without the % sign: `+12.3`."""
    return f"{'-' if value < 0 else '+'}{percent(abs(value), extra)}"


def decimal(value: float, extra: int = 0, /) -> str:
    """Format a number of about one: `0.032`."""
    return f"{value:.{3 + extra}f}"


def signed(value: float, extra: int = 0, /) -> str:
    """Format a difference of numbers of about one: `-0.032`."""
    return f"{value:+.{3 + extra}f}"


def plural(count: int, noun: str) -> str:
    """Format a count with its noun; the noun's plural takes an s."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def level(confidence: float) -> str:
    """Format a confidence level with the digits that it needs: 95 %, 99.25 %, 99.99963 %."""
    return f"{100 - float(f'{100 * (1 - confidence):.2g}'):.10g} %"
