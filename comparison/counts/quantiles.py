"""Compute exact quantiles of many values in an engine, without sorting or fetching all of them.

Values are rounded to a few bits and counted. The range of values that contains a wanted rank is
counted again with more bits, until it contains a single value.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.bins import real, rounded
from comparison.counts.outputs.columns import is_finite
from comparison.counts.outputs.rows import union_of
from comparison.counts.outputs.score_grid import EXACT
from comparison.engines.grouping import framed

Quantiles = dict[float, float | None]

MAX_UNROUNDED: Final = 400_000
"""Up to so many values are counted without rounding."""

_DIGITS: Final = (12, 24, 36)
"""Bits to which more values are rounded, in the successive rounds."""

_COUNTS: Final = {"range": "int64", "low": "float64", "high": "float64", "n": "int64"}


@dataclass(frozen=True, slots=True)
class _Range:
    """The `n` values of a column from `low` to `high`; `before` values of it are smaller."""

    column: str
    low: float
    high: float
    before: int
    n: int

    def contains(self) -> Any:
        """Return the condition that a value is in the range."""
        own = _.column == self.column
        if math.isinf(self.low):  # the whole column
            return own
        return own & (_.value >= real(self.low)) & (_.value <= real(self.high))


def exact_quantiles(
    columns: Mapping[str, ir.Table], probabilities: Mapping[str, Iterable[float]]
) -> dict[str, Quantiles]:
    """Return the linearly interpolated quantiles of columns (Hyndman & Fan 1996, type 7).

    Each table has one column, `value`. Values that are not finite are left out; a quantile of no
    values is None. The figures are those of `comparison.evidence.statistics.quantiles`.
    """
    values = union_of(
        [
            table.filter(is_finite(_.value)).select(column=ibis.literal(name), value=_.value)
            for name, table in columns.items()
        ]
    )
    sizes = framed(values.group_by("column").agg(n=_.count()), {"column": "string", "n": "int64"})
    size_of = dict(zip(sizes["column"].tolist(), sizes["n"].tolist(), strict=True))
    wanted = {name: list(each) for name, each in probabilities.items()}
    ranks = {
        name: sorted({rank for each in wanted[name] for rank in _neighbour_ranks(each, n)[0]})
        for name, n in size_of.items()
    }
    found = _at_ranks(values, ranks, size_of)
    return {
        name: {
            each: _interpolate(each, size_of[name], found[name]) if name in size_of else None
            for each in wanted[name]
        }
        for name in columns
    }


def _at_ranks(
    values: ir.Table, ranks: Mapping[str, list[int]], sizes: Mapping[str, int]
) -> dict[str, dict[int, float]]:
    """Return the values at ranks, which count from 0."""
    found: dict[str, dict[int, float]] = {name: {} for name in ranks}
    ranges = [_Range(name, -math.inf, math.inf, 0, n) for name, n in sizes.items()]
    digits = iter((*_DIGITS, EXACT))
    while ranges:
        bits = next(digits) if sum(each.n for each in ranges) > MAX_UNROUNDED else EXACT
        # Rounding to more bits may cross the bounds of a coarser range, so count by range as well.
        place = ibis.cases(
            *((each.contains(), number) for number, each in enumerate(ranges)), else_=None
        )
        counts = (
            values.mutate(range=place)
            .filter(_.range.notnull())
            .group_by("range", key=rounded(_.value, bits))
            .agg(low=_.value.min(), high=_.value.max(), n=_.count())
        )
        table = framed(counts, _COUNTS).sort_values(["range", "low"])
        ranges = [
            further
            for number, each in enumerate(ranges)
            for further in _subdivide(
                each, table.loc[table["range"] == number], ranks[each.column], found[each.column]
            )
        ]
    return found


def _subdivide(
    within: _Range, rows: pd.DataFrame, ranks: list[int], found: dict[int, float]
) -> list[_Range]:
    """Store in `found` the values at ranks in a range; return the smaller ranges still to count.

    `rows` are the counts of the values in the range.
    """
    ends = within.before + rows["n"].cumsum().to_numpy()
    left: dict[int, _Range] = {}
    for rank in ranks:
        if not within.before <= rank < within.before + within.n:
            continue
        place = int(np.searchsorted(ends, rank, side="right"))
        low, high, n = (rows[name].iloc[place] for name in ("low", "high", "n"))
        if low == high:
            found[rank] = float(low)
        else:
            left[place] = _Range(
                within.column, float(low), float(high), int(ends[place] - n), int(n)
            )
    return list(left.values())


def _neighbour_ranks(probability: float, n: int) -> tuple[tuple[int, int], float]:
    """Return the two ranks around a quantile, and how far it lies between them."""
    place = probability * (n - 1)
    below = min(math.floor(place), n - 1)
    return (below, min(below + 1, n - 1)), place - below


def _interpolate(probability: float, n: int, found: Mapping[int, float]) -> float:
    (below, above), share = _neighbour_ranks(probability, n)
    return float(np.quantile([found[below], found[above]], share))
