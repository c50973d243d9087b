"""The chart of a cumulative ratio over time, with its confidence sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comparison.evidence.number_format import ratio
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
    line,
    segment,
)
from comparison.report.html.charts.ratio_axis import (
    LIMIT_KEYS,
    RatioLimits,
    limit_lines,
    limit_values,
    ratio_ends,
    ratio_range,
)
from comparison.report.html.charts.scales import Axis, TimeScale, finite, short
from flags.gate.evidence import Interval


@dataclass(frozen=True, slots=True)
class Subject:
    """Name and title of a chart; `reference` is the denominator: "the primary's alarms"."""

    name: str
    title: str
    reference: str


def ratio_over_time(
    subject: Subject,
    points: Sequence[tuple[datetime, Interval]],
    limits: RatioLimits | None,
    break_time: datetime | None = None,
) -> Plot | None:
    """Draw the ratio up to each time, with a mark at the time of a break.

    None for less than two times, or if no interval is finite.
    """
    known = [(time, each) for time, each in points if each.value and each.low is not None]
    bounded = [each for _, each in known if finite((each.value, each.high))]
    if len(points) < 2 or not bounded:
        return None
    last = bounded[-1]
    lowest, highest = ratio_range(
        [*ratio_ends(last), *limit_values(limits), 1.0], [each.value for each in bounded]
    )
    x = TimeScale(points[0][0], points[-1][0], LEFT + 6, RIGHT - 6)
    y = Axis.logarithmic(lowest, highest, BOTTOM, TOP)
    upper = [(x(time), y(each.high or highest)) for time, each in known]
    lower = [(x(time), y(each.low or lowest)) for time, each in known]
    middle = [(x(time), y(value)) for time, each in known for value in finite((each.value,))]
    mark, word = break_mark(x, break_time)
    return Plot(
        name=subject.name,
        title=subject.title,
        description=(
            f"In the end {ratio(last.value)} times {subject.reference}, confidence sequence "
            f"{ratio(last.low)} to {ratio(last.high)}."
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
        note="the band holds at all times together, however often one looks",
    )


def break_mark(
    x: TimeScale, break_time: datetime | None
) -> tuple[tuple[Path, ...], tuple[Word, ...]]:
    """Mark the time at which the ratio changed; return no marks if it is not in the window."""
    if break_time is None or break_time < x.first:
        return (), ()
    at = x(break_time)
    is_late = at > (LEFT + RIGHT) / 2
    word = Word(
        "break",
        at - 4 if is_late else at + 4,
        TOP + 10,
        f"since {break_time:%b %-d %H:%M}",
        "end" if is_late else "start",
    )
    return (segment("break", (at, TOP), (at, BOTTOM)),), (word,)
