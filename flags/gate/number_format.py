"""Numbers of checks as text, with as many digits as show on which side of a limit they are."""

import math
from collections.abc import Iterable
from typing import Final, Protocol

_MOST: Final = 9
"""Digits more than usual beyond which two numbers are not told apart."""


class Write(Protocol):
    """A way to write numbers."""

    def __call__(self, value: float, more: int = 0, /) -> str:
        """Return a number as text, with some digits more than usual."""


def digits_apart(
    write: Write, values: Iterable[float | None], limits: Iterable[float | None]
) -> int:
    """Return how many more digits than usual tell all values from limits that they do not equal."""
    found, wanted = {*values} - {None}, {*limits} - {None}
    pairs = [
        (value, limit)
        for value in found
        for limit in wanted
        if value is not None and limit is not None and write(value, _MOST) != write(limit, _MOST)
    ]
    return next(
        more
        for more in range(_MOST + 1)
        if all(write(value, more) != write(limit, more) for value, limit in pairs)
    )


def times(value: float, more: int = 0, /) -> str:
    """Write a ratio: `2.03`, `31`, `∞`."""
    if math.isinf(value):
        return "∞"
    return f"{value:.{2 + more}f}" if round(value, 2 + more) < 10 else f"{value:,.{more}f}"


def points(value: float, more: int = 0, /) -> str:
    """Write a difference of shares in points of a hundred: `+0.12`."""
    return f"{100 * value:+.{3 + more}g}"


def percent(value: float, more: int = 0, /) -> str:
    """Write a share as a percentage, without the sign: `0.123`."""
    return f"{100 * value:.{3 + more}g}"


def signed_percent(value: float, more: int = 0, /) -> str:
    """Write a relative difference as a percentage: `+12.3`."""
    return f"{'-' if value < 0 else '+'}{percent(abs(value), more)}"


def decimal(value: float, more: int = 0, /) -> str:
    """Write a number of about one: `0.032`."""
    return f"{value:.{3 + more}f}"


def signed(value: float, more: int = 0, /) -> str:
    """Write a difference of such numbers: `-0.032`."""
    return f"{value:+.{3 + more}f}"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun, whose plural takes an s."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def level(confidence: float) -> str:
    """Write a confidence with the digits that it needs: 95 %, 99.25 %, 99.99963 %."""
    return f"{100 - float(f'{100 * (1 - confidence):.2g}'):.10g} %"
