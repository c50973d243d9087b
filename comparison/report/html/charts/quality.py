"""The reliability curve (calibration curve) of each side."""

from collections.abc import Mapping
from typing import Final

from comparison.evidence.statistics import wilson_interval
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
    segment,
)
from comparison.report.html.charts.scales import Axis, short, short_percent
from flags.gate.evidence import Reliability

_DOTS: Final = {"primary": discs, "candidate": diamonds}


def reliability(name: str, curves: Mapping[str, tuple[Reliability, ...]]) -> Plot | None:
    """Draw the share of positives against the mean score, bin by bin; None without bins.

    Both axes are square roots, since the scores of rare events are mostly near 0.
    """
    drawn = {
        side: [point for point in curve if point.positives.total and 0 <= point.score <= 1]
        for side, curve in curves.items()
    }
    points = [point for curve in drawn.values() for point in curve]
    if not points:
        return None
    bounds = {
        point: wilson_interval(point.positives.count, point.positives.total) for point in points
    }
    highest = max(
        *(point.score for point in points), *(point.positives.rate or 0.0 for point in points)
    )
    highest = min(1.0, highest * 1.15)
    x, y = Axis.root(highest, LEFT + 4, RIGHT), Axis.root(highest, BOTTOM, TOP)
    end = min(x.high, y.high)
    paths: list[Path] = [segment("diagonal", (x(0.0), y(0.0)), (x(end), y(end)))]
    for side, curve in drawn.items():
        for point in curve:
            low, high = bounds[point]
            at = x(point.score)
            paths.append(segment(f"whisker {side}", (at, y(low)), (at, y(high))))
        positions = [(x(point.score), y(point.positives.rate or 0.0)) for point in curve]
        if positions:
            paths += [line(side, positions), _DOTS[side](f"dot {side}", positions)]
    return Plot(
        name=name,
        title="Reliability",
        description="Share of positives against the mean score of bins; on the diagonal the "
        "score is a probability.",
        x_label="mean score of the bin",
        y_label="share of positives",
        x_ticks=x.ticks(short),
        y_ticks=y.ticks(short_percent),
        paths=tuple(paths),
        keys=(
            Key("primary disc", "primary"),
            Key("candidate diamond", "candidate"),
            Key("diagonal", "score = probability"),
        ),
        note="square-root axes; whiskers: 95 % Wilson interval of each bin",
    )
