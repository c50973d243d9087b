"""Sums of fractions that are the same in every engine, whatever the order of the rows.

Engines add numbers in the order in which threads and files bring them, and what floating-point
numbers add up to depends on it. So a number is scaled by a power of two and cut to a whole one, and
whole numbers are added up. Such sums are described in Demmel & Nguyen, "Fast reproducible
floating-point summation", ARITH 21 (2013).
"""

import math
from collections.abc import Mapping
from sys import float_info
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd

from comparison.counts.bins import in_units, real
from comparison.counts.outputs.columns import is_finite
from comparison.engines.grouping import framed

SHARE: Final = 2.0**32
"""Parts of its bound that a bounded number is counted in: 2**31 rows add up."""

_HALF: Final = 31
"""Bits of each of the two whole numbers that another one becomes: 2**32 rows add up."""

_LEAST: Final = -900
"""Exponent of the largest number below which all are 0: no power of two would scale it up."""


def summed(rows: ir.Table, values: Mapping[str, Any], **counts: Any) -> dict[str, float]:
    """Return the sums of columns, and `counts`; see `summed_by`."""
    if not (values or counts):
        return {}
    found = summed_by(rows, values, {}, **counts)
    return {str(name): float(value) for name, value in found.iloc[0].items()}


def summed_by(
    rows: ir.Table, values: Mapping[str, Any], by: Mapping[str, str], **counts: Any
) -> pd.DataFrame:
    """Return a row for each combination of the columns `by`, which are given with their dtypes.

    Of each value, the 62 bits below the largest one of its column count, so a sum is as exact as if
    only its result were rounded. What is infinite, or no number, counts as the largest number, what
    is missing as 0; a sum that reaches the largest number is infinite. It takes two statements.
    """
    sizes = {name: _size(value).max() for name, value in values.items()}
    [largest] = rows.agg(**sizes).to_pyarrow().to_pylist() if sizes else [{}]
    exponents = {name: _exponent(size) for name, size in largest.items()}
    halves: dict[str, Any] = {}
    for name, value in values.items():
        bounded = _bounded(value) if largest[name] == float_info.max else value
        high, low = _halves(bounded, exponents[name])
        halves |= {f"{name}_high": high.sum(), f"{name}_low": low.sum()}
    grouped = rows.group_by(list(by)) if by else rows
    dtypes = {**by, **dict.fromkeys(counts, "int64"), **dict.fromkeys(halves, "Int64")}
    found = framed(grouped.agg(**counts, **halves), dtypes).fillna(dict.fromkeys(halves, 0))
    sums = {
        name: [
            _number(int(high), int(low), exponent)
            for high, low in zip(found[f"{name}_high"], found[f"{name}_low"], strict=True)
        ]
        for name, exponent in exponents.items()
    }
    found = found[[*by, *counts]].assign(**sums)
    return found.sort_values(list(by), kind="stable", ignore_index=True) if by else found


def _size(value: Any) -> Any:
    return ibis.cases(
        (value.isnull(), ibis.null("float64")),
        (is_finite(value), value.abs()),
        else_=real(float_info.max),
    )


def _bounded(value: Any) -> Any:
    most = real(float_info.max)
    return ibis.cases(
        (value.isnull(), ibis.null("float64")),
        (is_finite(value), value),
        (value < 0, -most),
        else_=most,
    )


def _exponent(largest: float | None) -> int:
    """Return the power of two below which all numbers are."""
    return max(_LEAST, math.frexp(largest or 0.0)[1])


def _halves(value: Any, exponent: int) -> tuple[Any, Any]:
    """Return a number as two whole ones; multiplying by powers of two rounds nothing."""
    high = (value * real(2.0 ** (_HALF - exponent))).floor()
    whole = high.cast("float64") * real(2.0**_HALF)
    return high, (value * real(2.0 ** (2 * _HALF - exponent)) - whole).floor()


def _number(high: int, low: int, exponent: int) -> float:
    """Return what both halves of a sum stand for, rounded once."""
    whole, bits = (high << _HALF) + low, exponent - 2 * _HALF
    try:
        found = float(whole << bits) if bits > 0 else whole / (1 << -bits)
    except OverflowError:
        found = math.inf
    return found if abs(found) < float_info.max else math.copysign(math.inf, whole)


def share_sum(value: Any, bound: float) -> Any:
    """Return the sum of values up to a bound on both sides of 0, by 2**-32 of it each."""
    return _shares(value, bound).sum().cast("float64") * real(bound / SHARE)


def share_mean(value: Any, bound: float) -> Any:
    """Return the mean of values up to a bound on both sides of 0, by 2**-32 of it each."""
    shares = _shares(value, bound)
    n = shares.count()
    # Of nothing, 0 by 0 would be no number, which ClickHouse cannot round even where it is missing.
    mean = shares.sum().cast("float64") / ibis.greatest(n, 1).cast("float64")
    return ibis.ifelse(n > 0, mean * real(bound / SHARE), None)


def _shares(value: Any, bound: float) -> Any:
    return (in_units(value, bound) * real(SHARE) + real(0.5)).floor()
