"""Sum fractions with the same result in every engine, in any order of the rows.

An engine adds numbers in the order in which its threads and files deliver them, and the sum of
floating-point numbers depends on this order. So each number is scaled by a power of two and
truncated to an integer, and the integers are added. Such sums are described in Demmel & Nguyen,
"Fast reproducible floating-point summation", ARITH 21 (2013).
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
"""Parts of its bound in which a bounded number is counted: 2**31 rows add up without overflow."""

_HALF_BITS: Final = 31
"""Bits of each of the two integers that stand for a number: 2**32 rows add up without overflow."""

_MIN_EXPONENT: Final = -900
"""Smallest exponent of the largest number: no power of two would scale up smaller numbers, so they
count as 0."""


def summed(rows: ir.Table, values: Mapping[str, Any], **counts: Any) -> dict[str, float]:
    """Return the sums of columns, and `counts`; see `summed_by`."""
    if not (values or counts):
        return {}
    found = summed_by(rows, values, {}, **counts)
    return {str(name): float(value) for name, value in found.iloc[0].items()}


def summed_by(
    rows: ir.Table, values: Mapping[str, Any], by: Mapping[str, str], **counts: Any
) -> pd.DataFrame:
    """Sum values by the columns `by`, which are given with their dtypes.

    Of each value, the 62 bits below the largest one of its column count, so a sum is as exact as if
    only its result were rounded. An infinite value or NaN counts as the largest float, a missing
    one as 0; a sum that reaches the largest float is infinite. It takes two statements.
    """
    sizes = {name: _magnitude(value).max() for name, value in values.items()}
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


def _magnitude(value: Any) -> Any:
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
    """Return the exponent of a power of two above all numbers."""
    return max(_MIN_EXPONENT, math.frexp(largest or 0.0)[1])


def _halves(value: Any, exponent: int) -> tuple[Any, Any]:
    """Split a number into two integers; multiplication by powers of two rounds nothing."""
    high = (value * real(2.0 ** (_HALF_BITS - exponent))).floor()
    whole = high.cast("float64") * real(2.0**_HALF_BITS)
    return high, (value * real(2.0 ** (2 * _HALF_BITS - exponent)) - whole).floor()


def _number(high: int, low: int, exponent: int) -> float:
    """Combine both halves of a sum into a float, rounded once."""
    whole, bits = (high << _HALF_BITS) + low, exponent - 2 * _HALF_BITS
    try:
        found = float(whole << bits) if bits > 0 else whole / (1 << -bits)
    except OverflowError:
        found = math.inf
    return found if abs(found) < float_info.max else math.copysign(math.inf, whole)


def share_sum(value: Any, bound: float) -> Any:
    """Sum values within [-bound, bound], each rounded to 2**-32 of the bound."""
    return _shares(value, bound).sum().cast("float64") * real(bound / SHARE)


def share_mean(value: Any, bound: float) -> Any:
    """Return the mean of values within [-bound, bound], each rounded to 2**-32 of the bound."""
    shares = _shares(value, bound)
    n = shares.count()
    # Without values, 0 / 0 would be NaN, which ClickHouse cannot round even in an unused branch.
    mean = shares.sum().cast("float64") / ibis.greatest(n, 1).cast("float64")
    return ibis.ifelse(n > 0, mean * real(bound / SHARE), None)


def _shares(value: Any, bound: float) -> Any:
    return (in_units(value, bound) * real(SHARE) + real(0.5)).floor()
