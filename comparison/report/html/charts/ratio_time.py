"""The chart of a ratio of all that was seen so far, with its confidence sequence."""

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
    ratio_reach,
)
from comparison.report.html.charts.scales import Axis, TimeScale, finite, short
from flags.gate.evidence import Interval


@dataclass(frozen=True, slots=True)
class Subject:
    """Say what the chart is about; `what` is what the candidate's is a multiple of."""

    name: str
    title: str
    what: str


def ratio_over_time(
    subject: Subject,
    points: Sequence[tuple[datetime, Interval]],
    limits: RatioLimits | None,
    broken: datetime | None = None,
) -> Plot | None:
    """Draw the ratio until each time; None for less than two times, or if never bounded."""
    seen = [(time, each) for time, each in points if each.value and each.low is not None]
    settled = [each for _, each in seen if finite((each.value, each.high))]
    if len(points) < 2 or not settled:
        return None
    last = settled[-1]
    lowest, highest = ratio_reach(
        [*ratio_ends(last), *limit_values(limits), 1.0], [each.value for each in settled]
    )
    x = TimeScale(points[0][0], points[-1][0], LEFT + 6, RIGHT - 6)
    y = Axis.logarithmic(lowest, highest, BOTTOM, TOP)
    upper = [(x(time), y(each.high or highest)) for time, each in seen]
    lower = [(x(time), y(each.low or lowest)) for time, each in seen]
    middle = [(x(time), y(value)) for time, each in seen for value in finite((each.value,))]
    mark, word = mark_of_break(x, broken)
    return Plot(
        name=subject.name,
        title=subject.title,
        description=(
            f"In the end {ratio(last.value)} times {subject.what}, confidence sequence "
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
        note="the band holds at every moment at once, however often one looks",
    )


def mark_of_break(
    x: TimeScale, broken: datetime | None
) -> tuple[tuple[Path, ...], tuple[Word, ...]]:
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
