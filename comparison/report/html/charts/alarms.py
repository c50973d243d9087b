"""Charts of alarms: rates over time, the ratio, and the ratio by segment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comparison.report.html.charts.buckets import buckets, size_text
from comparison.report.html.charts.plot import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Key,
    Path,
    Plot,
    diamonds,
    discs,
    line,
)
from comparison.report.html.charts.ratio_axis import (
    Estimate,
    RatioLimits,
    limit_values,
    ratio_ends,
    ratio_range,
)
from comparison.report.html.charts.ratio_time import Subject, break_mark, ratio_over_time
from comparison.report.html.charts.scales import (
    Axis,
    Tick,
    TimeScale,
    finite,
    short,
    short_percent,
)
from flags.gate.blocks import total
from flags.gate.evidence import Interval, Paired, Period, SegmentAlarms


def alarm_rates(
    name: str, periods: Sequence[Period], break_time: datetime | None = None
) -> Plot | None:
    """Draw the alarm rate of each side, a point per bucket, with a mark at the break of the ratio.

    None for less than two buckets.
    """
    size, drawn = buckets(periods)
    if len(drawn) < 2:
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
    together = total(each.alarms for each in drawn)
    mark, word = break_mark(x, break_time)
    return Plot(
        name=name,
        title="Alarm rate over time",
        description=(
            f"Primary {_rate(together.primary.rate)} and candidate "
            f"{_rate(together.candidate.rate)} over {len(drawn)} parts of the window."
            + (f" Another ratio since {break_time:%Y-%m-%d %H:%M} UTC." if break_time else "")
        ),
        x_label="time (UTC)",
        y_label="alarms of pairs",
        x_ticks=x.ticks(),
        y_ticks=y.ticks(short_percent),
        paths=(*mark, *paths),
        words=word,
        keys=(Key("primary disc", "primary"), Key("candidate diamond", "candidate")),
        note=f"a point: {size_text(size)}",
    )


def alarm_ratio(
    name: str,
    periods: Sequence[Period],
    estimate: Estimate,
    limits: RatioLimits | None,
    break_time: datetime | None = None,
) -> Plot | None:
    """Draw the alarm ratio of all pairs so far, with its confidence sequence.

    None for less than two buckets, or if no interval is finite.
    """
    _, drawn = buckets(periods)
    points: list[tuple[datetime, Interval]] = []
    so_far = Paired(0, 0, 0, 0)
    for period in drawn:
        so_far = total((so_far, period.alarms))
        points.append((period.start, estimate(so_far)))
    subject = Subject(name, "Alarm ratio of all pairs so far", "the primary's alarms")
    return ratio_over_time(subject, points, limits, break_time)


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A row of a forest plot: a ratio and its interval, placed on [0, 100].

    `at` is the position of the ratio, `start` and `end` those of the interval; `cut` says whether
    each end of the interval is beyond the axis.
    """

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
    """A forest plot: a row per value of a segment, on one axis; at `unit` the ratio is 1."""

    rows: tuple[ForestRow, ...]
    ticks: tuple[Tick, ...]
    unit: float
    limits: tuple[tuple[str, float], ...]
    """CSS class and position of the line of each limit."""


def forest(
    segments: Sequence[SegmentAlarms],
    overall: Paired,
    estimate: Estimate,
    limits: RatioLimits | None,
) -> Forest:
    """Place the ratio of every value of the segments on one axis, all pairs first."""
    tables = [("", None, overall), *((s.segment, s.value, s.alarms) for s in segments)]
    ratios = [(*table, estimate(table[2])) for table in tables]
    largest = max(finite(ratio.value for *_, ratio in ratios), default=1.0)
    ends = [min(end, 2 * largest) for *_, ratio in ratios for end in ratio_ends(ratio)]
    lowest, highest = ratio_range(
        [*ends, *limit_values(limits), 1.0], [ratio.value for *_, ratio in ratios]
    )
    x = Axis.logarithmic(lowest, highest, 0.0, 100.0)
    return Forest(
        rows=tuple(_row(*each, x) for each in ratios),
        ticks=x.ticks(short),
        unit=x(1.0),
        limits=tuple((look, x(limit)) for look, limit in (limits.lines if limits else ())),
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


def _rate(rate: float | None) -> str:
    return "-" if rate is None else short_percent(rate)
