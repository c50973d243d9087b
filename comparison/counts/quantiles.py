"""Exact quantiles of many values, by an engine that need not sort or hand over all of them.

Values are counted, rounded to a few bits. The count in which a wanted rank falls is taken apart,
with more bits, until it is that of one value.
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

FEW: Final = 400_000
"""Up to so many values are counted as they are."""

_DIGITS: Final = (12, 24, 36)
"""Bits to which more are rounded, one after the other."""

_COUNTS: Final = {"part": "int64", "low": "float64", "high": "float64", "n": "int64"}


@dataclass(frozen=True, slots=True)
class _Part:
    """Name the values of a column from `low` to `high`, before which `before` lie."""

    of: str
    low: float
    high: float
    before: int
    n: int

    def has(self) -> Any:
        """Say whether a value is in it."""
        own = _.of == self.of
        if math.isinf(self.low):  # the whole column
            return own
        return own & (_.value >= real(self.low)) & (_.value <= real(self.high))


def exact_quantiles(
    columns: Mapping[str, ir.Table], probabilities: Mapping[str, Iterable[float]]
) -> dict[str, Quantiles]:
    """Return the linearly interpolated quantiles of columns (Hyndman & Fan 1996, type 7).

    Each table has one column, `value`. Values that are not finite are left out; None where none
    remains. The figures are those of `comparison.evidence.statistics.quantiles`.
    """
    values = union_of(
        [
            table.filter(is_finite(_.value)).select(of=ibis.literal(name), value=_.value)
            for name, table in columns.items()
        ]
    )
    sizes = framed(values.group_by("of").agg(n=_.count()), {"of": "string", "n": "int64"})
    size_of = dict(zip(sizes["of"].tolist(), sizes["n"].tolist(), strict=True))
    wanted = {name: list(each) for name, each in probabilities.items()}
    ranks = {
        name: sorted({rank for each in wanted[name] for rank in _around(each, n)[0]})
        for name, n in size_of.items()
    }
    found = _at_ranks(values, ranks, size_of)
    return {
        name: {
            each: _between(each, size_of[name], found[name]) if name in size_of else None
            for each in wanted[name]
        }
        for name in columns
    }


def _at_ranks(
    values: ir.Table, ranks: Mapping[str, list[int]], sizes: Mapping[str, int]
) -> dict[str, dict[int, float]]:
    """Return the values at ranks, which count from 0."""
    found: dict[str, dict[int, float]] = {name: {} for name in ranks}
    parts = [_Part(name, -math.inf, math.inf, 0, n) for name, n in sizes.items()]
    digits = iter((*_DIGITS, EXACT))
    while parts:
        each = next(digits) if sum(part.n for part in parts) > FEW else EXACT
        # Roundings to more bits are not within those to fewer ones, so that parts are told apart.
        place = ibis.cases(*((part.has(), number) for number, part in enumerate(parts)), else_=None)
        counts = (
            values.mutate(part=place)
            .filter(_.part.notnull())
            .group_by("part", key=rounded(_.value, each))
            .agg(low=_.value.min(), high=_.value.max(), n=_.count())
        )
        table = framed(counts, _COUNTS).sort_values(["part", "low"])
        parts = [
            further
            for number, part in enumerate(parts)
            for further in _taken_apart(
                part, table.loc[table["part"] == number], ranks[part.of], found[part.of]
            )
        ]
    return found


def _taken_apart(
    part: _Part, rows: pd.DataFrame, ranks: list[int], found: dict[int, float]
) -> list[_Part]:
    """Take from the rows of a part what they say of ranks in it; return what they leave open."""
    ends = part.before + rows["n"].cumsum().to_numpy()
    left: dict[int, _Part] = {}
    for rank in ranks:
        if not part.before <= rank < part.before + part.n:
            continue
        place = int(np.searchsorted(ends, rank, side="right"))
        low, high, n = (rows[name].iloc[place] for name in ("low", "high", "n"))
        if low == high:
            found[rank] = float(low)
        else:
            left[place] = _Part(part.of, float(low), float(high), int(ends[place] - n), int(n))
    return list(left.values())


def _around(probability: float, n: int) -> tuple[tuple[int, int], float]:
    """Return the ranks around a quantile, and how far it lies between them."""
    place = probability * (n - 1)
    below = min(math.floor(place), n - 1)
    return (below, min(below + 1, n - 1)), place - below


def _between(probability: float, n: int, found: Mapping[int, float]) -> float:
    (below, above), share = _around(probability, n)
    return float(np.quantile([found[below], found[above]], share))
