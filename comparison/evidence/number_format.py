"""The format of numbers, the same in tables and in sentences."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flags.gate import number_format
from flags.gate.evidence import Count

if TYPE_CHECKING:  # needs numpy
    from comparison.evidence.statistics import Proportion, Ratio


def percent(rate: float | None, more: int = 0, /) -> str:
    """Write a fraction in per cent; no other value is rounded to `0 %` or `100 %`."""
    if rate is None:
        return "-"
    points = 100 * rate
    to_the_end = round(min(points, 100 - points), 10)
    if to_the_end <= 0:
        return f"{points:.0f} %"
    digits = 2 if to_the_end >= 0.1 else min(9, math.ceil(-math.log10(to_the_end)) + 1)
    return f"{points:.{digits + more}f} %"


def share_of(count: Count) -> str:
    """Write a share and its total: `1.25 % of 8,500`."""
    return f"{percent(count.rate)} of {count.total:,}"


def points(difference: float | None, more: int = 0, /) -> str:
    """Write a difference of shares in percentage points, without the unit: `+1.25`."""
    if not difference:
        return "-" if difference is None else "0"
    sign = "-" if difference < 0 else "+"
    return f"{sign}{percent(abs(difference), more).removesuffix(' %')}"


def between(low: str, high: str) -> str:
    """Write an interval: `1.31 to 1.41`; the unit comes once, at the end."""
    return f"{low.removesuffix(' %') if high.endswith(' %') else low} to {high}"


def percent_interval(proportion: "Proportion") -> str:
    """Write the interval of a proportion in per cent: `9.66 to 10.49 %`."""
    if not proportion.total:
        return "-"
    return between(percent(proportion.low), percent(proportion.high))


def times(ratio: "Ratio") -> str:
    """Write a ratio with one decimal if its interval lies above 2, else with two."""
    return "-" if ratio.value is None else f"{ratio.value:,.{_ratio_decimals(ratio)}f}"


def times_interval(ratio: "Ratio") -> str:
    """Write the interval of a ratio: `3.2 to 4.3`, or `above 1.20` if it has no end."""
    decimals = _ratio_decimals(ratio)
    if ratio.value is None:
        return "-"
    if math.isinf(ratio.high):
        return f"above {ratio.low:,.{decimals}f}"
    return between(f"{ratio.low:,.{decimals}f}", f"{ratio.high:,.{decimals}f}")


def _ratio_decimals(ratio: "Ratio") -> int:
    return 1 if ratio.low >= 2 else 2


def seconds(duration: float | None) -> str:
    """Write a duration below one second in milliseconds, a longer one in seconds."""
    if duration is None:
        return "-"
    return f"{1000 * duration:,.2f} ms" if duration < 1 else f"{duration:,.2f} s"


def decimals_for(values: Iterable[float | None]) -> int:
    """Return the number of decimals with which the largest value has four digits."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return 4 if not largest else min(12, max(0, 4 - math.ceil(math.log10(largest))))


def fixed(value: float | None, decimals: int) -> str:
    """Write a number with this number of decimals."""
    return "-" if value is None else f"{value:,.{decimals}f}"


def number(value: float | None, more: int = 0, /) -> str:
    """Write a number with four digits, very large and very small numbers in powers of ten."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{3 + more}g}"
    return f"{value:,.{max(0, 4 - _digits_before_point(value)) + more}f}"


def signed(value: float | None, more: int = 0, /) -> str:
    """Write a difference, with its sign."""
    return number(value, more) if value is None or value <= 0 else f"+{number(value, more)}"


def ratio(value: float | None, more: int = 0, /) -> str:
    """Write a ratio as the reasons of the gate do: with three digits, or in whole numbers."""
    if value is None or not math.isfinite(value):
        return number(value)
    return number_format.times(value, more)


def values_or_range(values: Sequence[float], most: int) -> str:
    """Write up to `most` ascending values; of more, the first, the last and their number."""
    if len(values) <= most:
        return ", ".join(f"{value:g}" for value in values)
    return f"{values[0]:.3g} to {values[-1]:.3g} ({len(values):,})"


def p_value(p: float) -> str:
    """Write a p-value: `0.0312`, or `below 0.0001`."""
    return f"{p:.4f}" if p >= 0.0001 else "below 0.0001"


def span(seconds: float | None) -> str:
    """Write a span of time in its two largest units, as a playbook writes them: `2d 4h`."""
    if seconds is None:
        return "-"
    left = round(seconds)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        amount, left = divmod(left, size)
        parts.append((amount, unit))
    first = next((place for place, (amount, _) in enumerate(parts) if amount), len(parts) - 1)
    return (
        " ".join(f"{amount}{unit}" for amount, unit in parts[first : first + 2] if amount) or "0s"
    )


def _digits_before_point(value: float) -> int:
    return math.floor(math.log10(abs(value))) + 1 if abs(value) >= 1 else 0
