"""The chart of each side's latency."""

from collections.abc import Mapping
from typing import Final

from comparison.report.html.charts.plot import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Key,
    Path,
    Plot,
    Word,
    segment,
    steps,
)
from comparison.report.html.charts.scales import Axis, short_percent, short_seconds
from flags.gate.evidence import DURATION_EDGES, Durations

_MERGED: Final = 3
"""Bins, each 5 % wide, that are drawn as one."""
_SIDES: Final = ("primary", "candidate")


def latency(name: str, durations: Mapping[str, Durations]) -> Plot | None:
    """Draw the share of `ok` calls by duration on a log axis; None if no call was `ok`."""
    sides = {
        side: durations[side].counts
        for side in _SIDES
        if side in durations and any(durations[side].counts)
    }
    if not sides:
        return None
    filled = [index for counts in sides.values() for index, count in enumerate(counts) if count]
    lowest = max(0, min(filled) - 1 - 2 * _MERGED)
    highest = min(len(DURATION_EDGES) - 1, max(filled) + 2 * _MERGED)
    edges = DURATION_EDGES[lowest : highest + 1 : _MERGED]
    shares = {side: _shares(counts, lowest, len(edges)) for side, counts in sides.items()}
    x = Axis.logarithmic(edges[0], edges[-1], LEFT, RIGHT)
    y = Axis.root(max(max(each) for each in shares.values()) * 1.1, BOTTOM, TOP)
    positions = [x(edge) for edge in edges]
    paths: list[Path] = []
    words: list[Word] = []
    descriptions: list[str] = []
    for row, side in enumerate(sides):
        paths.append(
            steps(f"filled {side}", positions, [y(share) for share in shares[side]], BOTTOM)
        )
        quantiles = {share: durations[side].quantile(share) for share in (0.5, 0.99)}
        for share, value in quantiles.items():
            if value is not None:
                at = x(value)
                paths.append(segment(f"threshold {side}", (at, TOP + 2), (at, BOTTOM)))
                words.append(Word(f"at {side}", at + 2, TOP + 10 + 11 * row, f"p{100 * share:g}"))
                descriptions.append(f"{side} p{100 * share:g} {short_seconds(value)}")
    return Plot(
        name=name,
        title="Latency of ok calls",
        description=f"Share of calls by duration: {', '.join(descriptions)}.",
        x_label="duration (log)",
        y_label="share of calls (root)",
        x_ticks=x.ticks(short_seconds),
        y_ticks=y.ticks(short_percent),
        paths=tuple(paths),
        words=tuple(words),
        keys=tuple(Key(f"filled {side}", side) for side in sides),
        note="lines: median and 99th percentile of each side",
    )


def _shares(counts: tuple[int, ...], lowest: int, edges: int) -> list[float]:
    """Return the share of calls between the drawn edges; bin i ends at DURATION_EDGES[i]."""
    total = sum(counts)
    starts = (lowest + 1 + _MERGED * number for number in range(edges - 1))
    return [sum(counts[start : start + _MERGED]) / total for start in starts]
