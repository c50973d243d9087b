"""Charts of the alarm ratio by hour of the day and by day of the week, both in UTC."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from comparison.evidence.number_format import ratio
from comparison.report.html.charts.buckets import by_hour_of_day, by_week_day
from comparison.report.html.charts.plot import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Key,
    Path,
    Plot,
    diamonds,
    segment,
)
from comparison.report.html.charts.ratio_axis import (
    LIMIT_KEYS,
    Estimate,
    RatioLimits,
    limit_lines,
    ratio_axis,
)
from comparison.report.html.charts.scales import Tick, short
from flags.gate.evidence import Interval, Period

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def ratio_by_hour(
    name: str, periods: Sequence[Period], estimate: Estimate, limits: RatioLimits | None
) -> Plot | None:
    """Draw the ratio of each hour of the day; None for less than a day."""
    if _span(periods) < _DAY:
        return None
    rows = [(hour, estimate(each.alarms)) for hour, each in by_hour_of_day(periods)]
    return _plot(
        name, "Alarm ratio by hour of the day", rows, 24, 3, lambda hour: f"{hour:02d}:00", limits
    )


def ratio_by_week_day(
    name: str, periods: Sequence[Period], estimate: Estimate, limits: RatioLimits | None
) -> Plot | None:
    """Draw the ratio of each day of the week; None for less than a week."""
    if _span(periods) < 7 * _DAY:
        return None
    rows = [(day, estimate(each.alarms)) for day, each in by_week_day(periods)]
    return _plot(name, "Alarm ratio by day of the week", rows, 7, 1, _DAYS.__getitem__, limits)


def _span(periods: Sequence[Period]) -> timedelta:
    """Return the time from the start of the first period to one hour after that of the last."""
    return periods[-1].start - periods[0].start + _HOUR if periods else timedelta()


def _plot(
    name: str,
    title: str,
    rows: Sequence[tuple[int, Interval]],
    count: int,
    every: int,
    write: Callable[[int], str],
    limits: RatioLimits | None,
) -> Plot | None:
    drawn = [(number, each) for number, each in rows if each.value]
    if len(drawn) < 2:
        return None
    y = ratio_axis([each for _, each in drawn], limits)
    width = (RIGHT - LEFT) / count

    def x(number: int) -> float:
        return round(LEFT + (number + 0.5) * width, 1)

    whiskers: list[Path] = []
    for number, each in drawn:
        low, high = y(each.low or y.low), y(each.high or y.high)
        whiskers.append(segment("whisker candidate", (x(number), low), (x(number), high)))
    highest = max(drawn, key=lambda row: row[1].value or 0)
    lowest = min(drawn, key=lambda row: row[1].value or 0)
    described = (
        f"Highest {ratio(highest[1].value)} ({write(highest[0])}), "
        f"lowest {ratio(lowest[1].value)} ({write(lowest[0])})."
    )
    return Plot(
        name=name,
        title=title,
        description=described,
        x_label="UTC",
        y_label="candidate / primary (log)",
        x_ticks=tuple(Tick(x(number), write(number)) for number in range(0, count, every)),
        y_ticks=y.ticks(short),
        paths=(
            segment("unit", (LEFT, y(1.0)), (RIGHT, y(1.0))),
            *limit_lines(y, limits),
            *whiskers,
            diamonds("dot candidate", [(x(number), y(each.value or 1)) for number, each in drawn]),
        ),
        keys=(
            Key("candidate diamond", "ratio"),
            Key("unit", "equal"),
            *(LIMIT_KEYS if limits else ()),
        ),
        note=f"{described} Lines: intervals.",
        top=TOP,
        bottom=BOTTOM,
    )
