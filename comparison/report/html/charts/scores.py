"""Charts of scores: the distribution of each side, and both scores of the same requests."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
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
from comparison.report.html.charts.scales import Axis, finite, short, short_percent
from flags.gate.evidence import Distribution, Paired

SHADES: Final = 6
"""Shades that show the number of pairs of a cell."""

THRESHOLD_LINES: Final = 4
"""Thresholds of a side that are drawn; a window normally has one."""

_SIDES: Final = ("primary", "candidate")
Thresholds = Mapping[str, Sequence[float]]


def score_distribution(name: str, distribution: Distribution, thresholds: Thresholds) -> Plot:
    """Draw the share of pairs by score, an outline per side; with a log axis if shares differ much.

    That makes rare scores visible.
    """
    edges = _edges(distribution)
    shares = {side: _shares(distribution.counts.get(side, ()), edges) for side in _SIDES}
    occurring = [share for side in _SIDES for share in shares[side] if share]
    rarest, commonest = min(occurring, default=1.0), max(occurring, default=1.0)
    x = Axis.linear(*_ends(edges), LEFT, RIGHT)
    is_log = commonest > 30 * rarest
    if is_log:
        y = Axis.logarithmic(rarest / 2, commonest * 1.5, BOTTOM, TOP)
    else:
        y = Axis.linear(0.0, commonest * 1.08, BOTTOM, TOP)
    positions = [x(edge) for edge in edges]
    outlines = [
        steps(
            f"filled {side}",
            positions,
            [y(share) if share else BOTTOM for share in shares[side]],
            BOTTOM,
        )
        for side in _SIDES
        if len(shares[side]) == len(edges) - 1
    ]
    marks = [
        segment(f"threshold {side}", (x(value), TOP), (x(value), BOTTOM))
        for side in _SIDES
        for value in finite(thresholds.get(side, ()))[:THRESHOLD_LINES]
        if edges[0] <= value <= edges[-1]
    ]
    medians = (
        f"{side} median {short(middle)}"
        for side in _SIDES
        if (middle := distribution.quantiles.get(side, {}).get("0.5")) is not None
    )
    noun = _noun(thresholds)
    return Plot(
        name=name,
        title=f"{noun.capitalize()}s of each side",
        description=f"Share of pairs by {noun}: {', '.join(medians)}.",
        x_label=noun,
        y_label="share of pairs" + (" (log)" if is_log else ""),
        x_ticks=x.ticks(short),
        y_ticks=y.ticks(short_percent),
        paths=(*outlines, *marks),
        keys=(
            Key("filled primary", "primary"),
            Key("filled candidate", "candidate"),
            *([Key("threshold", "threshold")] if marks else []),
        ),
    )


def scores_against_each_other(
    name: str, distribution: Distribution, thresholds: Thresholds, alarms: Paired | None
) -> Plot:
    """Draw the number of pairs by both scores, with the thresholds that divide the quadrants."""
    edges = _edges(distribution)
    x = Axis.linear(*_ends(edges), LEFT, RIGHT)
    y = Axis.linear(*_ends(edges), BOTTOM, TOP)
    paths = [*_cells(distribution, [x(edge) for edge in edges], [y(edge) for edge in edges])]
    vertical, horizontal = (finite(thresholds.get(side, ()))[:THRESHOLD_LINES] for side in _SIDES)
    paths += [
        segment("diagonal", (LEFT, BOTTOM), (RIGHT, TOP)),
        *(segment("threshold primary", (x(at), TOP), (x(at), BOTTOM)) for at in vertical),
        *(segment("threshold candidate", (LEFT, y(at)), (RIGHT, y(at))) for at in horizontal),
    ]
    noun = _noun(thresholds)
    return Plot(
        name=name,
        title=f"{noun.capitalize()}s against each other",
        description=_quadrants_in_words(alarms, noun),
        x_label=f"primary's {noun}",
        y_label=f"candidate's {noun}",
        x_ticks=x.ticks(short),
        y_ticks=y.ticks(short),
        paths=tuple(paths),
        words=_quadrants(alarms) if alarms else (),
        note="stronger: more pairs (log scale)"
        + ("; lines: the thresholds" if noun == _SCORE else "")
        + f"; dotted: equal {noun}s",
    )


_SCORE: Final = "score"


def _noun(thresholds: Thresholds) -> str:
    """Return the name of the values: a score has a threshold, a number has none."""
    return _SCORE if any(thresholds.values()) else "number"


def _edges(distribution: Distribution) -> list[float]:
    """Return finite edges of at least one bin with a positive width."""
    edges = finite(distribution.bins)
    if len(edges) != len(distribution.bins) or len(edges) < 2:
        lowest, highest = min(edges, default=0.0), max(edges, default=1.0)
        edges = [min(max(edge, lowest), highest) for edge in distribution.bins] or [0.0, 1.0]
    if edges[-1] > edges[0]:
        return edges
    margin = abs(edges[0]) / 10 or 0.5
    return [edges[0] - margin, *edges[1:-1], edges[0] + margin]


def _ends(edges: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: 0 and 1 if the scores are near them."""
    low, high = edges[0], edges[-1]
    near = (high - low) / 10
    return 0.0 if 0 < low < near else low, 1.0 if 1 - near < high < 1 else high


def _shares(counts: Sequence[int], edges: Sequence[float]) -> list[float]:
    """Return the share of pairs by bin; narrower bins are scaled up to the median width.

    With few bins the median may be far from most widths, so shares are limited to 1.
    """
    total = sum(counts)
    widths = [after - before for before, after in pairwise(edges)]
    if not total or len(counts) != len(widths):
        return [0.0] * len(counts)
    usual = median(widths)
    return [
        min(1.0, count / total * (usual / width if 0 < width < usual else 1.0))
        for count, width in zip(counts, widths, strict=True)
    ]


def _cells(distribution: Distribution, across: Sequence[float], up: Sequence[float]) -> list[Path]:
    """Draw the cells of each shade as one path, so that 2,500 cells take few bytes."""
    most = max((pairs for *_, pairs in distribution.joint), default=1)
    by_shade: dict[int, list[str]] = {}
    for primary, candidate, pairs in distribution.joint:
        shade = 1 + round((SHADES - 1) * math.log(max(pairs, 1)) / (math.log(most) or 1))
        left, right = across[primary], across[primary + 1]
        low, high = up[candidate], up[candidate + 1]
        cell = f"M{left:g} {low:g}H{right:g}V{high:g}H{left:g}Z"
        by_shade.setdefault(shade, []).append(cell)
    return [Path(f"shade-{shade}", "".join(cells)) for shade, cells in sorted(by_shade.items())]


def _quadrants(alarms: Paired) -> tuple[Word, ...]:
    left, right, top, bottom = LEFT + 5, RIGHT - 5, TOP + 13, BOTTOM - 6
    return (
        Word("quadrant", left, top, f"only candidate: {alarms.candidate_only:,}"),
        Word("quadrant", right, top, f"both: {alarms.both:,}", "end"),
        Word("quadrant", left, bottom, f"neither: {alarms.neither:,}"),
        Word("quadrant", right, bottom, f"only primary: {alarms.primary_only:,}", "end"),
    )


def _quadrants_in_words(alarms: Paired | None, noun: str) -> str:
    if alarms is None:
        return f"Pairs by both {noun}s. There is no threshold, so there are no quadrants."
    return (
        f"Pairs by both scores. Alarm of both sides in {alarms.both:,} pairs, of the candidate "
        f"only in {alarms.candidate_only:,}, of the primary only in {alarms.primary_only:,}, of "
        f"neither in {alarms.neither:,}."
    )
