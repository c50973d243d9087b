"""A chart of the errors of numbers: both sides' mean error in each part of the pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from comparison.report.html.charts.plot import RIGHT, TOP, Key, Plot, diamonds, discs, segment
from comparison.report.html.charts.scales import Axis, Tick, finite, short
from comparison.report.html.figures import brief

_LEFT: Final = 128.0
_ROW: Final = 18.0
_AXIS: Final = 38.0
"""Height of the axis with its texts."""

_LETTERS: Final = 18
"""Letters of the name of a part that fit beside the chart."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """The mean errors of both sides in a part; None without labels."""

    name: str
    primary: float | None
    candidate: float | None


def errors_by_part(name: str, rows: Sequence[ErrorRow]) -> Plot | None:
    """Draw a row for each part; None if fewer than two parts have labels."""
    shown = [each for each in rows if each.primary is not None and each.candidate is not None]
    if len(shown) < 2:
        return None
    values = finite(value for each in shown for value in (each.primary, each.candidate))
    x = Axis.linear(0.0, max(values, default=0.0) * 1.05 or 1.0, _LEFT, RIGHT)
    bottom = TOP + _ROW * len(shown)
    heights = [TOP + _ROW * (row + 0.5) for row in range(len(shown))]
    primary, candidate = (
        [x(getattr(each, side) or 0.0) for each in shown] for side in ("primary", "candidate")
    )
    links = [
        segment("whole", (one, at), (other, at))
        for one, other, at in zip(primary, candidate, heights, strict=True)
    ]
    worst = max(shown, key=lambda each: (each.candidate or 0.0) - (each.primary or 0.0))
    return Plot(
        name=name,
        title="Mean error by segment and time",
        description=(
            f"The candidate's mean error is furthest above the primary's in {worst.name}: "
            f"{short(worst.candidate or 0.0)} against {short(worst.primary or 0.0)}."
        ),
        x_label="mean error, of labelled pairs",
        y_label="",
        x_ticks=x.ticks(short),
        y_ticks=tuple(
            Tick(at, brief(each.name, _LETTERS)) for at, each in zip(heights, shown, strict=True)
        ),
        paths=(
            *links,
            discs("dot primary", zip(primary, heights, strict=True)),
            diamonds("dot candidate", zip(candidate, heights, strict=True)),
        ),
        keys=(Key("primary disc", "primary"), Key("candidate diamond", "candidate")),
        left=_LEFT,
        bottom=bottom,
        height=bottom + _AXIS,
    )
