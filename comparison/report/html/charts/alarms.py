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
    Word,
    area,
    diamonds,
    discs,
    line,
    segment,
)
from comparison.report.html.charts.ratio_axis import (
    LIMIT_KEYS,
    Estimate,
    RatioLimits,
    limit_lines,
    limit_values,
    ratio_ends,
    ratio_reach,
    short_ratio,
)
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
    name: str, periods: Sequence[Period], broken: datetime | None = None
) -> Plot | None:
    """Draw the alarm rate of each side, a point a bucket, and since when it is another one.

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
    mark, word = _break(x, broken)
    return Plot(
        name=name,
        title="Alarm rate over time",
        description=(
            f"Primary {_rate(together.primary.rate)} and candidate "
            f"{_rate(together.candidate.rate)} over {len(drawn)} parts of the window."
            + (f" Another ratio since {broken:%Y-%m-%d %H:%M} UTC." if broken else "")
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
    broken: datetime | None = None,
) -> Plot | None:
    """Draw the ratio of all alarms so far, with its confidence sequence; None if never bounded."""
    _, drawn = buckets(periods)
    if len(drawn) < 2:
        return None
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
    lowest, highest = ratio_reach(
        [*ratio_ends(last), *limit_values(limits), 1.0], [each.value for each in settled]
    )
    x = TimeScale(drawn[0].start, drawn[-1].start, LEFT + 6, RIGHT - 6)
    y = Axis.logarithmic(lowest, highest, BOTTOM, TOP)
    at = [(x(period.start), interval) for period, interval in seen]
    upper = [(place, y(interval.high or highest)) for place, interval in at]
    lower = [(place, y(interval.low or lowest)) for place, interval in at]
    middle = [(place, y(interval.value or 1.0)) for place, interval in at]
    mark, word = _break(x, broken)
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
            *limit_lines(y, limits),
            *mark,
            line("candidate", middle),
            segment("whisker candidate", lower[-1], upper[-1]),
            diamonds("dot candidate", middle[-1:], 4),
        ),
        keys=(
            Key("candidate", "ratio"),
            Key("band", "confidence sequence"),
            Key("unit", "equal"),
            *(LIMIT_KEYS if limits else ()),
        ),
        words=word,
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
    ends = [min(end, 2 * largest) for *_, ratio in ratios for end in ratio_ends(ratio)]
    lowest, highest = ratio_reach(
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


def _plus(one: Paired, other: Paired) -> Paired:
    return Paired(
        one.both + other.both,
        one.primary_only + other.primary_only,
        one.candidate_only + other.candidate_only,
        one.neither + other.neither,
    )


def _break(x: TimeScale, broken: datetime | None) -> tuple[tuple[Path, ...], tuple[Word, ...]]:
    """Mark when the ratio became another one; nothing where that is not in the window."""
    if broken is None or broken < x.first:
        return (), ()
    at = x(broken)
    is_late = at > (LEFT + RIGHT) / 2
    word = Word(
        "break",
        at - 4 if is_late else at + 4,
        TOP + 10,
        f"since {broken:%b %-d %H:%M}",
        "end" if is_late else "start",
    )
    return (segment("break", (at, TOP), (at, BOTTOM)),), (word,)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else short_percent(rate)
