"""Axes: functions from values to positions, with ticks at round values."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

_STEPS: Final = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080, 20160, 43200, 129600)
)
_SMALLEST: Final = 1e-300
"""Numbers not far below it are subnormal: they lose digits, and powers of ten become 0."""
_LARGEST: Final = 1e300
"""Differences of larger numbers overflow."""
_MIN_RELATIVE_WIDTH: Final = 1e-9
"""The least width of an axis, relative to its values: ticks are written with twelve digits."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A position on an axis, and its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Map values in [low, high] to positions in [start, end].

    Values are transformed by `transform`, which must be increasing, then mapped linearly.
    """

    low: float
    high: float
    start: float
    end: float
    transform: Callable[[float], float]
    tick_values: tuple[float, ...]

    @classmethod
    def linear(cls, low: float, high: float, start: float, end: float) -> Self:
        """Return a linear axis."""
        low, high = _distinct_ends(low, high)
        return cls(low, high, start, end, float, tuple(_steps(low, high, 5)))

    @classmethod
    def root(cls, high: float, start: float, end: float) -> Self:
        """Return a square-root axis of [0, high], which spreads out values near 0."""
        high = min(max(high, _SMALLEST), _LARGEST) if high > 0 else 1.0
        return cls(0.0, high, start, end, _root, tuple(_root_ticks(high)))

    @classmethod
    def logarithmic(cls, low: float, high: float, start: float, end: float) -> Self:
        """Return a log axis; `low` is positive. Ticks are powers of ten, or finer if few fit."""
        low, high = (min(max(end, _SMALLEST), _LARGEST) for end in (low, high))
        if high <= low * (1 + _MIN_RELATIVE_WIDTH):
            low, high = low / 1.5, max(low, high) * 1.5
        return cls(low, high, start, end, math.log10, tuple(_log_ticks(low, high)))

    def __call__(self, value: float) -> float:
        """Return the position of a value; a value outside is placed at the nearer end."""
        value = min(max(value, self.low), self.high)
        begin, end = self.transform(self.low), self.transform(self.high)
        share = (self.transform(value) - begin) / (end - begin)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, write: Callable[[float], str]) -> tuple[Tick, ...]:
        """Return the ticks, with texts by `write`."""
        return tuple(Tick(self(value), write(value)) for value in self.tick_values)


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Map times in [first, last] to positions in [start, end]; ticks are at round times, UTC."""

    first: datetime
    last: datetime
    start: float
    end: float

    def __call__(self, time: datetime) -> float:
        """Return the position of a time."""
        span = self.last - self.first
        share = (time - self.first) / span if span else 0.5
        return round(self.start + min(max(share, 0), 1) * (self.end - self.start), 1)

    def ticks(self, at_most: int = 5) -> tuple[Tick, ...]:
        """Return ticks at whole steps of minutes, hours or days."""
        span = self.last - self.first
        step = next((step for step in _STEPS if span <= at_most * step), _STEPS[-1])
        while span > at_most * step:
            step *= 2
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        number = -((epoch - self.first) // step)  # rounded up
        ticks: list[Tick] = []
        while (time := epoch + number * step) <= self.last:
            midnight = time.hour == time.minute == 0
            words = f"{time:%b %-d}" if midnight else f"{time:%H:%M}"
            ticks.append(Tick(self(time), words if ticks or midnight else f"{time:%b %-d} {words}"))
            number += 1
        return tuple(ticks) or (Tick(self(self.first), f"{self.first:%b %-d %H:%M}"),)


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that are known and finite, so that they can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]


def short(value: float) -> str:
    """Write a number on an axis with up to six digits, very large and small ones as 1e7."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-4):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:,.6g}"


def short_percent(value: float) -> str:
    """Write a share on an axis."""
    return f"{100 * value:.3g} %" if value < 0.9999 or value >= 1 else "100 %"


def short_seconds(value: float) -> str:
    """Write a duration on an axis."""
    if value < 1e-3:
        return f"{1e6 * value:.3g} µs"
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _distinct_ends(low: float, high: float) -> tuple[float, float]:
    """Return ends, widened if needed, between which ticks are distinct floats without overflow."""
    low, high = (min(max(end, -_LARGEST), _LARGEST) for end in (low, high))
    width = max(_MIN_RELATIVE_WIDTH * max(abs(low), abs(high)), _SMALLEST)
    if high - low >= width:
        return low, high
    margin = max(abs(low) / 10, width) if low or high > low else 0.5
    return low - margin, high + margin


def _root(value: float) -> float:
    return math.sqrt(max(0.0, value))


def _root_ticks(high: float) -> Sequence[float]:
    """Return 0 and round numbers whose positions are at least a sixth of the axis apart."""
    top = math.floor(math.log10(high))
    ticks = [0.0]
    last = math.inf
    for exponent in range(top, top - 4, -1):
        for digit in (5, 2, 1):
            value = float(f"{digit}e{exponent}")
            place = math.sqrt(value / high)
            if place <= 1.0 and last - place >= 1 / 6 and place >= 1 / 6:
                ticks.append(value)
                last = place
    return sorted(ticks)


def _steps(low: float, high: float, at_most: int) -> Sequence[float]:
    """Return multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    rough = (high - low) / at_most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> Sequence[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for nice in ((1,), (1, 3), (1, 2, 5)):
        ticks = [
            float(f"{digit}e{exponent}")
            for exponent in range(first, last + 1)
            for digit in nice
            if low * 0.999 <= float(f"{digit}e{exponent}") <= high * 1.001
        ]
        if len(ticks) >= 3:
            return ticks[:: -(-len(ticks) // 6)]
    return _steps(low, high, 4)
