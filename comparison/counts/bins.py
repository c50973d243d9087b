"""Round and bin numbers in engine expressions that give the same result in every engine."""

from collections.abc import Sequence
from sys import float_info
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from comparison.counts.outputs.score_grid import EXACT, HUGE, MIRRORS, SHRINK, below, splitter
from flags.gate.evidence import DURATION_EDGES

_LONGEST: Final = 2.0**7
_DURATION_RESOLUTION: Final = 2.0**14
"""The longest duration in seconds, and the number of keys up to it; powers of two, to multiply
exactly."""


KEYS: Final = 2**15
"""A number above every key of a duration."""


def grid_score(score: ir.NumericValue, digits: int, thresholds: Sequence[float]) -> ir.NumericValue:
    """Return a finite score as `ScoreGrid` counts it, rounded to `digits` bits."""
    found = rounded(score, digits)
    if not thresholds or digits >= EXACT:
        return found
    largest = real(float_info.max)
    reached = ibis.greatest(
        *(ibis.ifelse(score >= real(each), real(each), -largest) for each in thresholds), -largest
    )
    missed = ibis.least(
        *(ibis.ifelse(score < real(each), real(below(each)), largest) for each in thresholds),
        largest,
    )
    return ibis.least(ibis.greatest(found, reached), missed)


def rounded(score: ir.NumericValue, digits: int) -> ir.NumericValue:
    """Do in an engine what `comparison.counts.outputs.score_grid.rounded` does in numpy."""
    if digits >= EXACT:
        return ibis.ifelse(score == 0, real(0.0), score)  # engines may tell -0.0 from 0.0
    mirror = real(0.0)
    for each in MIRRORS:
        mirror = ibis.ifelse((score >= each / 2) & (score <= each), real(each), mirror)
    distance = ibis.ifelse(mirror > 0, mirror - score, score)
    scale = ibis.ifelse(distance.abs() < real(HUGE), real(1.0), real(SHRINK))
    shrunk = distance * scale
    product = shrunk * real(splitter(digits))
    most = real(float_info.max * SHRINK)
    split = product - (product - shrunk)
    found = clamp(split, -most, most) / scale  # by a power of two: exact
    found = ibis.ifelse(mirror > 0, mirror - found, found)
    return ibis.ifelse(found == 0, real(0.0), found)


def real(value: float) -> ir.NumericScalar:
    """Return a constant, cast from a text: DuckDB reads a literal number as an inexact decimal."""
    return ibis.literal(repr(value)).cast("float64")


def in_units(value: ir.NumericValue, unit: float) -> ir.NumericValue:
    """Divide a value by a unit; by multiplication with the inverse, as Polars does it."""
    return value * real(min(1 / unit, float_info.max))


def edge_bin(value: ir.NumericValue, edges: Sequence[float]) -> ir.IntegerValue:
    """Return how many of the ascending `edges` are not above `value`, by bisection."""
    return _bisect(value, edges, 0, len(edges))


def _bisect(value: ir.NumericValue, edges: Sequence[float], low: int, high: int) -> ir.IntegerValue:
    if low == high:
        return ibis.literal(low, type="int32")
    middle = (low + high) // 2
    return ibis.ifelse(
        value < edges[middle],
        _bisect(value, edges, low, middle),
        _bisect(value, edges, middle + 1, high),
    )


def eighth_root(value: ir.NumericValue) -> ir.NumericValue:
    """Return the eighth root as three square roots."""
    return value.sqrt().sqrt().sqrt()


def clamp(
    value: ir.NumericValue, low: float | ir.NumericValue, high: float | ir.NumericValue
) -> ir.NumericValue:
    """Clamp a value to [low, high]; for a missing value, engines return a bound."""
    return ibis.greatest(ibis.least(value, high), low)


def winsorise(value: ir.NumericValue, bound: float) -> ir.NumericValue:
    """Clamp a value to [-bound, bound] (winsorise it); a missing value stays missing."""
    return ibis.ifelse(
        value.isnull(), ibis.null("float64"), clamp(value, real(-bound), real(bound))
    )


def duration_key(seconds: ir.NumericValue) -> ir.IntegerValue:
    """Return the key of a duration, for `duration_bins`."""
    scaled = clamp(seconds / _LONGEST, 0.0, 1.0)
    return (eighth_root(scaled) * _DURATION_RESOLUTION).floor().cast("int32")


def duration_keys(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Do in numpy what `duration_key` does in an engine, for finite durations."""
    scaled = np.clip(seconds / _LONGEST, 0.0, 1.0)
    return (np.sqrt(np.sqrt(np.sqrt(scaled))) * _DURATION_RESOLUTION).astype(np.int64)


def duration_bins(keys: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bin of `flags.gate.evidence.Durations` of each key.

    Adjacent keys are 0.05 to 0.4 % of a duration apart. A key that contains an edge of
    `DURATION_EDGES` belongs to the bin below it: to look up each duration among the edges would
    take ten times longer.
    """
    begins = (np.asarray(keys, dtype=np.float64) / _DURATION_RESOLUTION) ** 8 * _LONGEST
    return np.searchsorted(np.asarray(DURATION_EDGES), begins, side="right").astype(np.int64)
