"""A chart as positions and words, which the template `plot.svg.j2` writes as SVG.

Looks (colours, dashes, light and dark) are the style sheet's; a mark only names its class.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from comparison.report.html.charts.scales import Tick

WIDTH: Final = 400.0
"""Of every plot, in its own units: text stays readable when a phone shows it."""
LEFT: Final = 56.0
RIGHT: Final = 390.0
TOP: Final = 12.0
HEIGHT: Final = 250.0
BOTTOM: Final = 212.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Path:
    """Draw SVG path data."""

    look: str
    d: str


@dataclass(frozen=True, slots=True)
class Word:
    """Write text at a place; `anchor` is SVG's text-anchor."""

    look: str
    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Key:
    """Explain a mark in the legend by the look of its line."""

    look: str
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Hold one chart; `description` says in words what it shows, for those who cannot see it."""

    name: str
    """Unique in the page, fit for an id."""
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
    """Join points."""
    return Path(look, "M" + "L".join(f"{x:g} {y:g}" for x, y in points))


def steps(look: str, edges: Sequence[float], heights: Sequence[float], floor: float) -> Path:
    """Draw a histogram's outline: heights between edges, both as positions."""
    parts = [f"M{edges[0]:g} {floor:g}"]
    for right, height in zip(edges[1:], heights, strict=True):
        parts.append(f"V{height:g}H{right:g}")
    return Path(look, "".join([*parts, f"V{floor:g}"]))


def area(look: str, upper: Sequence[Point], lower: Sequence[Point]) -> Path:
    """Fill what is between two lines over the same x."""
    points = [*upper, *reversed(lower)]
    return Path(look, "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z")


def segment(look: str, start: Point, end: Point) -> Path:
    """Draw one straight line."""
    return line(look, (start, end))


def discs(look: str, points: Iterable[Point], radius: float = 3.0) -> Path:
    """Draw a filled circle at each point."""
    turn = f"a{radius:g} {radius:g} 0 1 1 {{0}}{2 * radius:g} 0"
    circle = turn.format("") + turn.format("-") + "Z"
    return Path(look, "".join(f"M{x - radius:g} {y:g}{circle}" for x, y in points))


def diamonds(look: str, points: Iterable[Point], radius: float = 4.0) -> Path:
    """Draw a diamond at each point: another side, another shape."""
    return Path(
        look,
        "".join(
            f"M{x:g} {y - radius:g}l{radius:g} {radius:g}l-{radius:g} {radius:g}"
            f"l-{radius:g} -{radius:g}Z"
            for x, y in points
        ),
    )
