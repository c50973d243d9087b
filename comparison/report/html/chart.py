"""A single chart of the page as SVG, for a notebook, a document or a slide."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from comparison.report.html.charts.plot import Key, Plot
from comparison.report.html.environment import environment

_LETTER: Final = 6.2
"""Approximate width of a letter in the legend, in the plot's units."""
_SAMPLE: Final = 32.0
"""Width of the sample line of a key, with the space after it."""


@dataclass(frozen=True, slots=True)
class PlacedKey:
    """A key of the legend and its position, `x` from the left and `y` from the top."""

    key: Key
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of the page; a notebook displays it as the result of a cell."""

    plot: Plot

    @property
    def svg(self) -> str:
        """Return a complete SVG file, with its colours for light and dark mode."""
        keys, height = _legend(self.plot.keys, self.plot.width)
        template = environment().get_template("chart.svg.j2")
        return template.render(p=self.plot, keys=keys, head=24 + height)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the SVG file. Raises OSError if it cannot be written."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def __repr__(self) -> str:
        """Return the title of the chart."""
        return f"<Chart: {escape(self.plot.title)}>"


def _legend(keys: tuple[Key, ...], width: float) -> tuple[list[PlacedKey], float]:
    """Place the keys in rows as wide as the plot; return them and the height of all rows."""
    placed: list[PlacedKey] = []
    x, row = 8.0, 0
    for key in keys:
        size = _SAMPLE + _LETTER * len(key.text) + 12
        if x > 8.0 and x + size > width:
            x, row = 8.0, row + 1
        placed.append(PlacedKey(key, x, 16.0 * row))
        x += size
    return placed, 16.0 * (row + 1) if keys else 0.0
