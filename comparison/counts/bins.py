"""The bin of a number as an engine's expression; every engine computes the same."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from comparison.counts.score_grid import (
    FARTHEST,
    MIDDLE,
    RESOLUTION,
    ProbabilityScale,
    RealScale,
    ScoreGrid,
)
from flags.gate.evidence import DURATION_EDGES

_LONGEST: Final = 2.0**7
_DURATION_RESOLUTION: Final = 2.0**14
"""Seconds; keys of durations up to it. Powers of two, to multiply exactly."""


def grid_key(grid: ScoreGrid, score: ir.NumericValue) -> ir.IntegerValue:
    """Return the key of a finite score, as `ScoreGrid.bins_of_keys` takes it."""
    match grid.scale:
        case ProbabilityScale():
            inside = within(score, 0.0, 1.0)
            lower = (eighth_root(inside) * RESOLUTION).floor()
            upper = 2 * MIDDLE - (eighth_root(1.0 - inside) * RESOLUTION).ceil()
            key = ibis.ifelse(inside < 0.5, lower, upper)
        case RealScale(centre=centre, factor=factor):
            scaled = within((score - centre) * factor, -FARTHEST, FARTHEST)
            root = eighth_root(scaled.abs()) * RESOLUTION
            key = ibis.ifelse(scaled >= 0, root.floor(), -root.ceil())
        case unknown:
            raise TypeError(f"no engine knows the scale {unknown!r}")
    return reduce(add, (at_least(score, edge) for edge in grid.thresholds), key.cast("int32"))


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


def within(value: ir.NumericValue, low: float, high: float) -> ir.NumericValue:
    """Return `value`, or the bound that it exceeds."""
    return ibis.greatest(ibis.least(value, high), low)


def at_least(score: ir.NumericValue, edge: float) -> ir.IntegerValue:
    """Return 1 where `score` is not below `edge`, else 0."""
    return (score >= edge).cast("int32")


def duration_key(seconds: ir.NumericValue) -> ir.IntegerValue:
    """Return the key of a duration, as `duration_bins` takes it."""
    scaled = within(seconds / _LONGEST, 0.0, 1.0)
    return (eighth_root(scaled) * _DURATION_RESOLUTION).floor().cast("int32")


def duration_bins(keys: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bin of `flags.gate.evidence.Durations` of each key.

    Keys are 0.05 to 0.4 % of a duration apart. One that an edge of `DURATION_EDGES` divides
    belongs to the bin below: looking up each duration among the edges would take ten times longer.
    """
    begins = (np.asarray(keys, dtype=np.float64) / _DURATION_RESOLUTION) ** 8 * _LONGEST
    return np.searchsorted(np.asarray(DURATION_EDGES), begins, side="right").astype(np.int64)
