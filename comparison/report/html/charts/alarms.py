"""Charts of alarms: rates over time, the ratio, and the ratio by segment."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from comparison.report.html.charts.plot import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Key,
    Path,
    Plot,
    area,
    diamonds,
    discs,
    line,
    segment,
)
from comparison.report.html.charts.scales import (
    Axis,
    Tick,
    TimeScale,
    finite,
    short,
    short_percent,
)
from flags.gate.evidence import Interval, Paired, Period, SegmentAlarms

POINTS: Final = 28
"""Periods that are drawn: neighbours are added up until there are no more."""

WIDEST: Final = 20.0
"""A ratio, or its inverse, beyond which an axis does not reach."""


_LIMIT_KEYS: Final = (
    Key("limit advance", "advance within"),
    Key("limit rollback", "roll back beyond"),
)


@dataclass(frozen=True, slots=True)
class RatioLimits:
    """Hold the limits of an alarm ratio, both at least 1: each holds for x and for 1/x."""

    advance: float
    rollback: float


Estimate = Callable[[Paired], Interval]
"""Puts an interval around the alarm ratio of a table."""


def alarm_rates(name: str, periods: Sequence[Period]) -> Plot | None:
    """Draw the alarm rate of each side, a point a period; None without periods."""
    drawn = merged(periods)
    if not drawn:
        return None
    x = TimeScale(drawn[0].start, drawn[-1].start, LEFT + 6, RIGHT - 6)
    rates = {
        side: [
            (x(period.start), getattr(period.alarms, side).rate)
            for period in drawn
            if period.alarms.pairs
        ]
        for side in ("primary", "candidate")
    }
    highest = max((rate for points in rates.values() for _, rate in points), default=0)
    y = Axis.linear(0.0, highest * 1.1 or 0.01, BOTTOM, TOP)
    points = {side: [(at, y(rate)) for at, rate in rates[side]] for side in rates}
    paths: list[Path] = []
    if points["primary"]:
        paths = [
            line("primary", points["primary"]),
            line("candidate", points["candidate"]),
            discs("dot primary", points["primary"], 2.2),
            diamonds("dot candidate", points["candidate"], 3),
        ]
    total = _added(drawn)
    return Plot(
        name=name,
        title="Alarm rate over time",
        description=(
            f"Primary {_rate(total.primary.rate)} and candidate {_rate(total.candidate.rate)} "
            f"over {len(drawn)} parts of the window."
        ),
        x_label="time (UTC)",
        y_label="alarms of pairs",
        x_ticks=x.ticks(),
        y_ticks=y.ticks(short_percent),
        paths=tuple(paths),
        keys=(Key("primary disc", "primary"), Key("candidate diamond", "candidate")),
    )


def alarm_ratio(
    name: str, periods: Sequence[Period], estimate: Estimate, limits: RatioLimits | None
) -> Plot | None:
    """Draw the ratio of all alarms so far, with its confidence sequence; None if never bounded."""
    drawn = merged(periods)
    seen: list[tuple[Period, Interval]] = []
    so_far = Paired(0, 0, 0, 0)
    for period in drawn:
        so_far = _plus(so_far, period.alarms)
        interval = estimate(so_far)
        if interval.value and interval.low is not None and interval.high is not None:
            seen.append((period, interval))
    settled = [interval for _, interval in seen if finite((interval.value, interval.high))]
    if not settled:
        return None
    last = settled[-1]
    lowest, highest = _reach(
        [*_ends(last), *_both_ways(limits), 1.0], [each.value for each in settled]
    )
    x = TimeScale(drawn[0].start, drawn[-1].start, LEFT + 6, RIGHT - 6)
    y = Axis.logarithmic(lowest, highest, BOTTOM, TOP)
    at = [(x(period.start), interval) for period, interval in seen]
    upper = [(place, y(interval.high or highest)) for place, interval in at]
    lower = [(place, y(interval.low or lowest)) for place, interval in at]
    middle = [(place, y(interval.value or 1.0)) for place, interval in at]
    return Plot(
        name=name,
        title="Alarm ratio of all pairs so far",
        description=(
            f"In the end {short_ratio(last.value)} times the primary's alarms, confidence sequence "
            f"{short_ratio(last.low)} to {short_ratio(last.high)}."
        ),
        x_label="time (UTC)",
        y_label="candidate / primary (log)",
        x_ticks=x.ticks(),
        y_ticks=y.ticks(short),
        paths=(
            area("band", upper, lower),
            segment("unit", (LEFT, y(1.0)), (RIGHT, y(1.0))),
            *(segment(look, (LEFT, y(each)), (RIGHT, y(each))) for look, each in _lines(limits)),
            line("candidate", middle),
            segment("whisker candidate", lower[-1], upper[-1]),
            diamonds("dot candidate", middle[-1:], 4),
        ),
        keys=(
            Key("candidate", "ratio"),
            Key("band", "confidence sequence"),
            Key("unit", "equal"),
            *(_LIMIT_KEYS if limits else ()),
        ),
        note="the band holds at every moment at once, however often one looks",
    )


@dataclass(frozen=True, slots=True)
class ForestRow:
    """Place one ratio and its interval on [0, 100]; `cut` says at which ends it goes on."""

    segment: str
    value: str | None
    alarms: Paired
    ratio: Interval
    at: float | None
    start: float
    end: float
    cut: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Forest:
    """Hold one row per value of a segment over one axis; `unit` is where the ratio is 1."""

    rows: tuple[ForestRow, ...]
    ticks: tuple[Tick, ...]
    unit: float
    limits: tuple[tuple[str, float], ...]
    """Look and place of the lines of the limits."""


def forest(
    segments: Sequence[SegmentAlarms],
    overall: Paired,
    estimate: Estimate,
    limits: RatioLimits | None,
) -> Forest:
    """Set the ratio of every segment on one axis, all pairs first."""
    estimates = [("", None, overall), *((s.segment, s.value, s.alarms) for s in segments)]
    ratios = [(*named, estimate(named[2])) for named in estimates]
    largest = max(finite(ratio.value for *_, ratio in ratios), default=1.0)
    ends = [min(end, 2 * largest) for *_, ratio in ratios for end in _ends(ratio)]
    lowest, highest = _reach(
        [*ends, *_both_ways(limits), 1.0], [ratio.value for *_, ratio in ratios]
    )
    x = Axis.logarithmic(lowest, highest, 0.0, 100.0)
    return Forest(
        rows=tuple(_row(*each, x) for each in ratios),
        ticks=x.ticks(short),
        unit=x(1.0),
        limits=tuple((look, x(limit)) for look, limit in _lines(limits)),
    )


def _row(segment: str, value: str | None, alarms: Paired, ratio: Interval, x: Axis) -> ForestRow:
    low = ratio.low or 0.0
    high = math.inf if ratio.high is None else ratio.high
    drawable = ratio.value is not None and x.low <= ratio.value <= x.high
    return ForestRow(
        segment=segment,
        value=value,
        alarms=alarms,
        ratio=ratio,
        at=x(ratio.value) if drawable and ratio.value else None,
        start=x(low),
        end=x(high),
        cut=(low < x.low, high > x.high),
    )


def merged(periods: Sequence[Period], at_most: int = POINTS) -> list[Period]:
    """Add up neighbours, the same number each, until there are at most so many."""
    size = max(1, -(-len(periods) // at_most))
    groups = (periods[first : first + size] for first in range(0, len(periods), size))
    return [Period(group[0].start, _added(group)) for group in groups]


def short_ratio(value: float | None) -> str:
    """Write a ratio with three digits; a half-open interval has no end."""
    if value is None:
        return "-"
    return "∞" if math.isinf(value) else f"{value:.3g}"


def _lines(limits: RatioLimits | None) -> list[tuple[str, float]]:
    """Return the look and the ratio of each line."""
    if limits is None:
        return []
    pairs = (("limit advance", limits.advance), ("limit rollback", limits.rollback))
    return [(look, end) for look, limit in pairs for end in (limit, 1 / limit)]


def _both_ways(limits: RatioLimits | None) -> list[float]:
    return [ratio for _, ratio in _lines(limits)]


def _added(periods: Sequence[Period]) -> Paired:
    total = Paired(0, 0, 0, 0)
    for period in periods:
        total = _plus(total, period.alarms)
    return total


def _plus(one: Paired, other: Paired) -> Paired:
    return Paired(
        one.both + other.both,
        one.primary_only + other.primary_only,
        one.candidate_only + other.candidate_only,
        one.neither + other.neither,
    )


def _ends(ratio: Interval) -> list[float]:
    return [end for end in finite((ratio.low, ratio.high)) if end > 0]


def _reach(wanted: Sequence[float], values: Sequence[float | None]) -> tuple[float, float]:
    """Return ends of an axis of ratios that show what is wanted, and a bit more."""
    shown = [each for each in (*wanted, *finite(values)) if each > 0]
    lowest = max(min(shown), 1 / WIDEST)
    highest = min(max(shown), WIDEST)
    margin = max((highest / lowest) ** 0.08, 1.05)
    return lowest / margin, highest * margin


def _rate(rate: float | None) -> str:
    return "-" if rate is None else short_percent(rate)
