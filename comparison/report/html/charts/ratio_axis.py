"""The axis of a ratio: logarithmic, with the lines of its limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from comparison.report.html.charts.plot import BOTTOM, LEFT, RIGHT, TOP, Key, Path, segment
from comparison.report.html.charts.scales import Axis, finite
from flags.gate.evidence import Interval, Paired

MAX_RATIO: Final = 20.0
"""The largest ratio on an axis; its inverse is the smallest."""

LIMIT_KEYS: Final = (
    Key("limit advance", "advance within"),
    Key("limit rollback", "roll back beyond"),
)

Estimate = Callable[[Paired], Interval]
"""A function from the counts of alarms to their ratio with an interval."""


@dataclass(frozen=True, slots=True)
class RatioLimits:
    """The limits of a ratio, both at least 1; each limit x applies to 1/x too.

    With `is_one_sided`, each applies to x alone; one-sided limits below 1 are lower bounds.
    """

    advance: float
    rollback: float
    is_one_sided: bool = False

    @property
    def lines(self) -> list[tuple[str, float]]:
        """Return the CSS classes and the ratio of each line."""
        pairs = (("limit advance", self.advance), ("limit rollback", self.rollback))
        ends = [(look, limit) for look, limit in pairs]
        return ends if self.is_one_sided else ends + [(look, 1 / limit) for look, limit in pairs]


def ratio_axis(ratios: Sequence[Interval], limits: RatioLimits | None) -> Axis:
    """Return a vertical axis that includes the ratios and the limits; intervals may exceed it."""
    values = [each.value for each in ratios]
    largest = max(finite(values), default=1.0)
    ends = [min(end, 2 * largest) for each in ratios for end in ratio_ends(each)]
    low, high = ratio_range([*ends, *limit_values(limits), 1.0], values)
    return Axis.logarithmic(low, high, BOTTOM, TOP)


def limit_lines(y: Axis, limits: RatioLimits | None) -> list[Path]:
    """Draw the limits across a chart."""
    lines = limits.lines if limits else []
    return [segment(look, (LEFT, y(each)), (RIGHT, y(each))) for look, each in lines]


def limit_values(limits: RatioLimits | None) -> list[float]:
    """Return the ratios of the limits."""
    return [ratio for _, ratio in limits.lines] if limits else []


def ratio_ends(ratio: Interval) -> list[float]:
    """Return the ends of an interval that a log axis can show."""
    return [end for end in finite((ratio.low, ratio.high)) if end > 0]


def ratio_range(bounds: Sequence[float], values: Sequence[float | None]) -> tuple[float, float]:
    """Return ends of an axis of ratios that include bounds and values, with a margin."""
    shown = [each for each in (*bounds, *finite(values)) if each > 0]
    lowest = max(min(shown), 1 / MAX_RATIO)
    highest = min(max(shown), MAX_RATIO)
    margin = max((highest / lowest) ** 0.08, 1.05)
    return lowest / margin, highest * margin
