"""A chart as positions and texts, which the template `plot.svg.j2` writes as SVG.

The `look` of a mark is its CSS classes; the style sheet has the colours, dashes, light and dark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from comparison.report.html.charts.scales import Tick

WIDTH: Final = 400.0
"""Width of every plot, in its own units: text stays readable on a phone."""
LEFT: Final = 56.0
RIGHT: Final = 390.0
TOP: Final = 12.0
HEIGHT: Final = 250.0
BOTTOM: Final = 212.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Path:
    """A mark; `d` is SVG path data."""

    look: str
    d: str


@dataclass(frozen=True, slots=True)
class Word:
    """A text at a position; `anchor` is SVG's text-anchor."""

    look: str
    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend: the look of a mark, and its meaning."""

    look: str
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart; `description` says in words what it shows, for readers who cannot see it."""

    name: str
    """The prefix of its HTML ids, unique on the page."""
    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    paths: tuple[Path, ...]
    words: tuple[Word, ...] = ()
    keys: tuple[Key, ...] = ()
    note: str = ""
    height: float = HEIGHT
    left: float = field(default=LEFT)
    right: float = field(default=RIGHT)
    top: float = field(default=TOP)
    bottom: float = field(default=BOTTOM)
    width: float = WIDTH


def line(look: str, points: Iterable[Point]) -> Path:
    """Draw a line through points."""
    return Path(look, "M" + "L".join(f"{x:g} {y:g}" for x, y in points))


def steps(look: str, edges: Sequence[float], heights: Sequence[float], floor: float) -> Path:
    """Draw a histogram's outline; edges, heights and floor are positions."""
    parts = [f"M{edges[0]:g} {floor:g}"]
    for right, height in zip(edges[1:], heights, strict=True):
        parts.append(f"V{height:g}H{right:g}")
    return Path(look, "".join([*parts, f"V{floor:g}"]))


def area(look: str, upper: Sequence[Point], lower: Sequence[Point]) -> Path:
    """Fill the area between two lines over the same x."""
    points = [*upper, *reversed(lower)]
    return Path(look, "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z")


def segment(look: str, start: Point, end: Point) -> Path:
    """Draw a straight line between two points."""
    return line(look, (start, end))


def discs(look: str, points: Iterable[Point], radius: float = 3.0) -> Path:
    """Draw a filled circle at each point."""
    turn = f"a{radius:g} {radius:g} 0 1 1 {{0}}{2 * radius:g} 0"
    circle = turn.format("") + turn.format("-") + "Z"
    return Path(look, "".join(f"M{x - radius:g} {y:g}{circle}" for x, y in points))


def diamonds(look: str, points: Iterable[Point], radius: float = 4.0) -> Path:
    """Draw a diamond at each point: the candidate's shape, where discs are the primary's."""
    return Path(
        look,
        "".join(
            f"M{x:g} {y - radius:g}l{radius:g} {radius:g}l-{radius:g} {radius:g}"
            f"l-{radius:g} -{radius:g}Z"
            for x, y in points
        ),
    )
